// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package summary

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
)

func TestDecode(t *testing.T) {
	for text, want := range map[string]string{
		`{"build_id": "b"}`: "",
		`{"build_id": "b", "later": [1], "benchmark": {"schema_version": 9}}`: "",
		`{"last_run_uuid": "x"}`: "it has no build_id; expected the report of an ethminer-ami build",
		`[]`:                     "decoding the build's report: ",
		``:                       "decoding the build's report: ",
	} {
		b, err := Decode([]byte(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if strings.Contains(text, "9") && (b.Measured != nil || b.Unreadable == nil) {
			t.Errorf("%s: got the benchmark %v, %v", text, b.Measured, b.Unreadable)
		}
	}
	b, err := Decode([]byte(`{"build_id": "b", "launch_test": [{"region": "us-east-1", "verdict": "passed", "hashrate": 25000000, "checks": [{"name": "boot", "passed": true, "saw": "41 s"}]}]}`))
	if err != nil || len(b.LaunchTests) != 1 || b.LaunchTests[0].Hashrate != 25e6 || b.LaunchTests[0].Checks[0] != (artifact.TestCheck{Name: "boot", Passed: true, Saw: "41 s"}) {
		t.Errorf("got %+v, %v", b.LaunchTests, err)
	}
}

func TestFormat(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0.0 s", 9.94: "9.9 s", 9.96: "10 s", 59.6: "1 min", 192: "3 min 12 s", 3600: "1 h", 3899: "1 h 5 min", 7199: "2 h"} {
		if got := Duration(seconds); got != want {
			t.Errorf("%v s: got %q, want %q", seconds, got, want)
		}
	}
	for fraction, want := range map[float64]string{0: "0 %", 0.005: "0.5 %", 0.0999: "10 %", 0.644: "64 %"} {
		if got := Share(fraction); got != want {
			t.Errorf("%v: got %q, want %q", fraction, got, want)
		}
	}
}
