// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// Whatever EC2's own troubles are, a copy is asked for again, until there is
// one image and no second one: by the SDK (3 calls), then by the builder, which
// says so.
func TestACopyOutlastsEC2sTroubles(t *testing.T) {
	const sdk = 3 // calls, the default of retry.NewStandard
	for _, trouble := range []rehearsal.Fault{
		{Code: "RequestLimitExceeded"}, // 503
		{Code: "InternalError", Status: http.StatusInternalServerError},
		{Code: "Unavailable", Status: http.StatusServiceUnavailable},
		{Code: "ServiceUnavailable", Status: http.StatusBadGateway},
	} {
		for _, times := range []int{1, sdk, 2*sdk + 1} {
			t.Run(fmt.Sprintf("%s, %d times", trouble.Code, times), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				for nth := range times {
					fault := trouble
					fault.Action, fault.Region, fault.Nth = "CopyImage", "us-east-1", nth+1
					w.aws.AddFault(fault)
				}
				if _, err := w.build(t, t.Context(), map[string]any{"preflight": "off"}); err != nil {
					t.Fatalf("%v\n%s", err, w.ui.String())
				}
				w.oneImageEach(t, "eu-central-1", "us-east-1")
				if n := w.aws.Calls()["us-east-1"]["CopyImage"]; n != times+1 {
					t.Errorf("CopyImage was called %d times, want %d", n, times+1)
				}
				if said := strings.Count(w.ui.String(), trouble.Code); said != times/sdk {
					t.Errorf("the build says %d times that it tries again, want %d:\n%s", said, times/sdk, w.ui.String())
				}
			})
		}
	}
}

func TestHowManyImagesAreMade(t *testing.T) {
	for _, test := range []struct {
		regions []string
		said    string
	}{
		{[]string{"eu-central-1"}, "1 image is made, and stays also if"},
		{[]string{"us-east-1"}, "2 images are made, and stay also if"},
	} {
		w := newWorld(t)
		if _, err := w.build(t, t.Context(), map[string]any{"ami_regions": test.regions}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(w.ui.String(), test.said) {
			t.Errorf("the build does not say %q:\n%s", test.said, w.ui.String())
		}
	}
}
