// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package reportpage

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/benchmark"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
)

// warnings returns what a reader must know before using the images, the gravest first.
func warnings(b summary.Build) (list []string) {
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if b.Unreleased {
		say("The images are not released, because a launch test failed (on_launch_test_failure = \"keep\"): do not use or publish them")
	}
	for _, t := range b.LaunchTests {
		if t.Verdict != artifact.TestPassed {
			say("Launch test of %s: %s%s", t.Region, t.Verdict, because(t.Reason))
		}
	}
	for _, region := range slices.Sorted(maps.Keys(b.FailedRegions)) {
		say("%s has no image%s", region, because(b.FailedRegions[region]))
	}
	for _, account := range slices.Sorted(maps.Keys(b.FailedAccounts)) {
		for _, region := range slices.Sorted(maps.Keys(b.FailedAccounts[account])) {
			say("Account %s has no image in %s%s", account, region, because(b.FailedAccounts[account][region]))
		}
	}
	if b.Capture == artifact.CaptureNoReboot {
		say("The image was created without a reboot (capture = \"no-reboot\"): its file systems may be inconsistent")
	}
	switch m := b.Measured; {
	case b.Unreadable != nil:
		say("The benchmark cannot be shown: %s", b.Unreadable)
	case m == nil:
		say("The image was not benchmarked: its hash rate is unknown")
	default:
		if err := benchmark.Judge(*m); err != nil {
			say("The benchmark failed: %s", err)
		} else if m.Verdict != miner.VerdictPassed {
			say("The benchmark has no verdict: the image may not mine")
		}
		if !m.Stable {
			say("The rate was not stable when the benchmark began")
		}
		if m.LateCollections > 0 {
			say("The miner was late in %s of rates during the benchmark", summary.Count(m.LateCollections, "collection"))
		}
		for _, odd := range benchmark.Oddities(*m, m.Device, b.InstanceType) {
			say("%s", upper(strings.TrimPrefix(odd, "warning: ")))
		}
	}
	if b.SpotReclaims > 0 {
		say("EC2 interrupted %s of this build, which ran for %s in total", summary.Count(b.SpotReclaims, "spot instance"), summary.Duration(float64(b.ReclaimedSeconds)))
	}
	if b.Resumed {
		say("An earlier run created a part of this build: the timeline and the cost are those of the last run")
	}
	return list
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func upper(text string) string {
	if text == "" || strings.ContainsAny(strings.SplitN(text, " ", 2)[0], "0123456789") { // such as cu0
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
