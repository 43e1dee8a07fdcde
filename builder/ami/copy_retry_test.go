// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// TestCopyRetriesEC2Errors: a copy is retried after any server-side error of EC2
// and yields exactly one image. The SDK retries first (3 calls), then the builder,
// which reports its retries of a throttled copy, and an outage.
func TestCopyRetriesEC2Errors(t *testing.T) {
	const sdk = 3 // calls, the default of retry.NewStandard
	for _, transient := range []rehearsal.Fault{
		{Code: "RequestLimitExceeded"}, // 503
		{Code: "InternalError", Status: http.StatusInternalServerError},
		{Code: "Unavailable", Status: http.StatusServiceUnavailable},
		{Code: "ServiceUnavailable", Status: http.StatusBadGateway},
	} {
		for _, times := range []int{1, sdk, 2*sdk + 1} {
			t.Run(fmt.Sprintf("%s, %d times", transient.Code, times), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				for nth := range times {
					fault := transient
					fault.Action, fault.Region, fault.Nth = "CopyImage", "us-east-1", nth+1
					w.aws.AddFault(fault)
				}
				if _, err := w.build(t, t.Context(), map[string]any{"preflight": "off"}); err != nil {
					t.Fatalf("%v\n%s", err, w.ui.String())
				}
				w.oneImageEach(t, "eu-central-1", "us-east-1")
				if n := w.aws.Calls()["us-east-1"]["CopyImage"]; n != times+1 {
					t.Errorf("got %d CopyImage calls, want %d", n, times+1)
				}
				retried, want := transient.Code, times/sdk
				if transient.Status != 0 {
					retried, want = "AWS has not answered CopyImage in us-east-1", min(times/sdk, 1)
				}
				if said := strings.Count(w.ui.String(), retried); said != want {
					t.Errorf("got %d reports of %q, want %d:\n%s", said, retried, want, w.ui.String())
				}
			})
		}
	}
}

func TestImageCountIsReported(t *testing.T) {
	for _, test := range []struct {
		regions []string
		said    string
	}{
		{[]string{"eu-central-1"}, "Created 1 image. It is kept"},
		{[]string{"us-east-1"}, "Created 2 images. They are kept"},
	} {
		w := newWorld(t)
		if _, err := w.build(t, t.Context(), map[string]any{"ami_regions": test.regions}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(w.ui.String(), test.said) {
			t.Errorf("got output without %q:\n%s", test.said, w.ui.String())
		}
	}
}

// EC2 starts a copy, but every response to CopyImage is an error. The build finds the
// copy by its name and tag.
func TestCopyWithoutResponse(t *testing.T) {
	w := newWorld(t)
	w.outageLimit = 50 * time.Millisecond
	all := make([]int, 10000)
	for i := range all {
		all[i] = i + 2 // the first one is the dry run
	}
	w.transport = &fault{world: w, action: "CopyImage", nths: all, answer: func(r *http.Request) (*http.Response, error) {
		_, _ = w.RoundTrip(r)
		return refuse(500, "InternalError", "something failed"), nil
	}}
	artifact, err := w.build(t, t.Context(), nil)
	if err != nil || !strings.Contains(artifact.String(), "us-east-1: ami-") {
		t.Errorf("got %v and error %v, want an image in us-east-1\n%s", artifact, err, w.ui.String())
	}
	if left := w.aws.Inventory()["us-east-1"]; len(left) != 2 {
		t.Errorf("got %v in us-east-1, want an image and its snapshot", left)
	}
}
