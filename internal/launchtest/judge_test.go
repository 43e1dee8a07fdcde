// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launchtest

import (
	"errors"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// check compares the result of a judgment with a part of its text, and with the check that
// fails; "" for none.
func check(t *testing.T, name, saw string, err error, failed, part string) {
	t.Helper()
	var failure *CheckError
	switch {
	case failed == "" && (err != nil || !strings.Contains(saw, part)):
		t.Errorf("%s: got %q and %v, want %q", name, saw, err, part)
	case failed != "" && (!errors.As(err, &failure) || failure.Check != failed || !strings.Contains(err.Error(), part)):
		t.Errorf("%s: got %v, want the check %s to fail with %q", name, err, failed, part)
	}
}

func TestJudgeCloud(t *testing.T) {
	for _, test := range []struct {
		name         string
		lines        []string
		miner        string
		failed, part string
	}{
		{"none", nil, "", "", "no cloud-init"},
		{"done", []string{"status: done", "extended_status: degraded done"}, "running", "", "done"},
		{"a module failed", []string{"status: error", "detail:", "('bootcmd', ProcessExecutionError)"}, "running", CloudInit, "bootcmd"},
		{"the service that the user data starts failed", []string{"status: error"}, "auto-restart", CloudInit, "ethminer.service does not start (auto-restart)"},
		{"hangs", []string{"status: running"}, "", CloudInit, "has not ended"},
		{"disabled", []string{"status: disabled"}, "", CloudInit, "no user data is read"},
	} {
		saw, err := judgeCloud(test.lines, test.miner)
		check(t, test.name, saw, err, test.failed, test.part)
	}
}

func TestCompare(t *testing.T) {
	gpu := miner.Report{Device: miner.DeviceCUDA, Hashrate: 25e6}
	cpu := miner.Report{Device: miner.DeviceCPU, Hashrate: 5e3}
	for _, test := range []struct {
		name         string
		rate         miner.Rate
		expected     miner.Report
		most         float64
		failed, part string
	}{
		{"the same", 25e6, gpu, 0, "", "the benchmark measured 25.00 Mh/s (+0.0 %)"},
		{"a tenth less", 22.6e6, gpu, 0, "", "(-9.6 %)"},
		{"half", 12.5e6, gpu, 0, HashRate, "differs by more than 10 % (max_difference); compare the clocks"},
		{"half, which the user allows", 12.5e6, gpu, 0.6, "", "(-50.0 %)"},
		{"more", 30e6, gpu, 0, HashRate, "the benchmark measured too little"},
		{"a CPU", 2e3, cpu, 0, "", "not judged, as a CPU's rate depends"},
		{"a CPU with a limit", 2e3, cpu, 0.5, HashRate, "more than 50 %"},
		{"no benchmark", 25e6, miner.Report{}, 0, "", "no benchmark to compare it with"},
	} {
		saw, err := compare("", test.rate, test.expected, test.most)
		check(t, test.name, saw, err, test.failed, test.part)
	}
}

func TestService(t *testing.T) {
	good := state{load: "loaded", enabled: "enabled", active: "active", sub: "running", condition: true, pid: 7}
	for _, test := range []struct {
		name         string
		change       func(*state)
		failed, part string
	}{
		{"runs", func(*state) {}, "", ""},
		{"is not installed", func(s *state) { s.load, s.enabled = "not-found", "" }, Service, "is not-found"},
		{"is disabled", func(s *state) { s.enabled = "disabled" }, Service, "does not start after a reboot"},
		{"was not started", func(s *state) { s.active, s.condition = "inactive", false }, Service, "the user data did not write it"},
		{"restarts", func(s *state) { s.active, s.sub, s.exit = "activating", "auto-restart", 1 }, Service, "ended before it mined (exit code 1)"},
		{"cannot be executed", func(s *state) { s.restarts, s.exit = 2, 203 }, Service, "built for another processor architecture"},
		{"has a broken sandbox", func(s *state) { s.active, s.exit = "failed", 226 }, Service, "the unit's sandbox"},
		{"waits for a GPU", func(s *state) { s.active, s.result = "failed", "timeout" }, Service, "wait-gpu waits for a GPU"},
	} {
		s := good
		test.change(&s)
		err := installed(s)
		if err == nil {
			err = starts(s, benchmark.NewWatch())
		}
		check(t, test.name, "", err, test.failed, test.part)
	}
}

func TestAPIPort(t *testing.T) {
	for address, want := range map[string]int{"": 0, "127.0.0.1:-3333": 3333, "0.0.0.0:3334": 3334, "3335": 3335, "-3336": 3336, "x": 0} {
		if got := apiPort(address); got != want {
			t.Errorf("%q: got %d, want %d", address, got, want)
		}
	}
}

// TestUserData: the user data of a test names no pool.
func TestUserData(t *testing.T) {
	if strings.Contains(UserData, "stratum") || strings.Contains(UserData, " -P ") || !strings.Contains(UserData, " -M ") {
		t.Errorf("the user data is\n%s", UserData)
	}
}
