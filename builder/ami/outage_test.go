// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// afterLaunch returns the number of the first request after the launch, and of the
// last request, of a build without faults.
func afterLaunch(t *testing.T, config map[string]any) (first, last int) {
	t.Helper()
	w := newWorld(t)
	w.onCall = func(nth int) {
		if first == 0 && w.aws.Calls()["eu-central-1"]["RunInstances"] > 0 {
			first = nth
		}
	}
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	return first, w.calls
}

// Whenever AWS stops answering after the launch, the build waits until it answers
// again, and completes.
func TestSweepOfOutages(t *testing.T) {
	const lasts = 12 // requests, of which the SDK makes three each time
	first, last := afterLaunch(t, nil)
	for start := first; start <= last; start++ {
		for _, drop := range []bool{false, true} {
			t.Run(fmt.Sprintf("request %d, drop %t", start, drop), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.onCall = func(nth int) {
					switch nth {
					case start:
						w.aws.AddFault(rehearsal.Fault{Outage: "1h", Drop: drop})
					case start + lasts:
						w.aws.AddFault(rehearsal.Fault{Outage: "0s"})
					}
				}
				artifact, err := w.build(t, t.Context(), nil)
				if err != nil {
					t.Fatalf("%v\n%s", err, w.ui.String())
				}
				if left := w.left(); artifact == nil || len(left) != 4 {
					t.Errorf("want two images with a snapshot each, got:\n%s", strings.Join(left, "\n"))
				}
				said := w.ui.String()
				if !strings.Contains(said, "AWS has not answered ") || !strings.Contains(said, "; waiting up to ") {
					return // in an optional request
				}
				for _, region := range []string{"eu-central-1", "us-east-1"} {
					told, again := count(said, "AWS has not answered", region), count(said, "AWS answers", region)
					if told > 1 || told != again {
						t.Errorf("%s: %d lines about the outage and %d about its end, want one each:\n%s", region, told, again, said)
					}
				}
			})
		}
	}
}

// count counts the lines with two words.
func count(text, a, b string) (n int) {
	for line := range strings.SplitSeq(text, "\n") {
		if strings.Contains(line, a) && strings.Contains(line, " in "+b+" ") {
			n++
		}
	}
	return n
}

// An outage without an end ends the build once, and the clean-up does not wait for
// it again with each resource. It lists them all, each with its command.
func TestEndlessOutage(t *testing.T) {
	w := newWorld(t)
	w.outageLimit = 300 * time.Millisecond
	w.onCall = func(int) {
		if w.aws.Calls()["us-east-1"]["CopyImage"] > 0 {
			w.aws.AddFault(rehearsal.Fault{Outage: "1h"})
		}
	}
	begun := time.Now()
	_, err := w.build(t, t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "AWS has not answered Describe") {
		t.Errorf("got %v, want the request that AWS has not answered", err)
	}
	if took := time.Since(begun); took > 20*w.outageLimit {
		t.Errorf("the clean-up took %s, want the limit of %s once per region", took, w.outageLimit)
	}
	for _, line := range w.left() {
		if !strings.Contains(line, " snapshot ") && !strings.Contains(line, " volume ") && !named(w.ui.String(), line) {
			t.Errorf("left without a command: %s\n%s", line, w.ui.String())
		}
	}
}

// Ctrl-C ends the wait for the end of an outage.
func TestCancelDuringAnOutage(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	down := 0
	w.onCall = func(nth int) {
		switch {
		case down == 0 && w.aws.Calls()["eu-central-1"]["CreateImage"] > 0:
			down = nth
			w.aws.AddFault(rehearsal.Fault{Outage: "1h"})
		case down > 0 && nth == down+10:
			cancel()
		case down > 0 && nth == down+40:
			w.aws.AddFault(rehearsal.Fault{Outage: "0s"})
		}
	}
	if _, err := w.build(t, ctx, nil); err == nil {
		t.Error("want an error")
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind:\n%s\n%s", strings.Join(left, "\n"), w.ui.String())
	}
}

// Credentials that AWS rejects as expired are renewed if their source has new ones.
// Otherwise the build fails with the source and a remedy, and lists what is left.
func TestExpiredCredentials(t *testing.T) {
	expired := aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret", SessionToken: "old", Source: "EnvConfigCredentials"}
	for _, renews := range []bool{true, false} {
		t.Run(fmt.Sprintf("renews %t", renews), func(t *testing.T) {
			t.Parallel()
			first, last := afterLaunch(t, nil)
			for start := first; start <= last; start++ {
				w := newWorld(t)
				w.credentials = expired
				w.onCall = func(nth int) {
					if nth == start {
						w.aws.AddFault(rehearsal.Fault{ExpiredToken: "old"})
						if renews {
							w.mu.Lock()
							defer w.mu.Unlock()
							w.credentials.SessionToken = "new"
						}
					}
				}
				_, err := w.build(t, t.Context(), nil)
				said := w.ui.String()
				if renews {
					if err != nil {
						t.Fatalf("request %d: %v\n%s", start, err, said)
					}
					continue
				}
				if err == nil {
					continue // in an optional request, such as the last ones
				}
				for _, want := range []string{"credentials: got expired ones from the environment (AWS_SESSION_TOKEN)", "; get new ones that last longer than the build"} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("request %d: got %v, want %q", start, err, want)
					}
				}
				for _, line := range w.left() {
					if !strings.Contains(line, " snapshot ") && !strings.Contains(line, " volume ") && !named(said, line) { // they go with their image and instance
						t.Errorf("request %d: left without a command: %s\n%s", start, line, said)
					}
				}
			}
		})
	}
}
