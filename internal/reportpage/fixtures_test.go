// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package reportpage

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
)

// started is the start of the fixtures' builds.
var started = time.Date(2026, 11, 3, 8, 30, 0, 0, time.UTC)

// measured is a benchmark of n GPUs over a minute, whose rates swing by one percent and
// whose temperatures rise.
func measured(n int) miner.Report {
	m := miner.Report{
		SchemaVersion: miner.ReportSchema, Miner: "ethminer 0.19.0-17", Source: "https://example.org/ethminer commit 1a2b3c", Device: miner.DeviceCUDA,
		Algorithm: "Etchash", Block: 21_000_000, Epoch: 350, DAGBytes: miner.DatasetBytes(350), Stable: true,
		WindowSeconds: 60, Samples: 12, Verdict: miner.VerdictPassed, LimitSource: miner.LimitMeasured, LimitShare: 0.72, Floor: 20e6 * miner.Rate(n),
	}
	for i := range n {
		s := miner.Series{Device: fmt.Sprintf("cu%d", i)}
		var rates []miner.Rate
		for at := 5.0; at <= 60; at += 5 {
			rate := miner.Rate(25.2e6 + 0.25e6*math.Sin(at+float64(i)))
			rates = append(rates, rate)
			s.Rates = append(s.Rates, miner.RatePoint{Seconds: at, Hashrate: rate})
			s.Sensors = append(s.Sensors, miner.SensorPoint{Seconds: at, TempC: 52 + at/6 + float64(i), PowerW: 68 + math.Cos(at) + float64(i)/4})
		}
		stats := miner.Summarize(rates)
		m.GPUs = append(m.GPUs, "Tesla T4")
		m.Devices = append(m.Devices, miner.DeviceReport{
			Name: s.Device, Samples: 12, Hashrate: stats.Median, P5: stats.P5, P95: stats.P95, Variation: stats.Variation, Last: rates[11],
			TempC: 62 + float64(i), PowerW: 68, ClockMHz: 1245, MemoryClockMHz: 5000, SlowedBy: []string{"power cap"},
		})
		m.Series = append(m.Series, s)
		m.Hashrate, m.P5, m.P95 = m.Hashrate+stats.Median, m.P5+stats.P5, m.P95+stats.P95
		m.Min, m.Max, m.Last = m.Min+stats.Min, m.Max+stats.Max, m.Last+rates[11]
	}
	m.Limit = m.Hashrate / 0.72
	m.Energy()
	return m
}

// build is the report of a build with everything that a page can show.
func build(t testing.TB, n int) summary.Build {
	t.Helper()
	m, err := measured(n).Encode()
	if err != nil {
		t.Fatal(err)
	}
	r := artifact.Report{
		BuildID: "b-0123456789abcdef", PluginVersion: "0.1.0", StartedAt: started, BuildRegion: "eu-central-1",
		Regions: []string{"eu-central-1", "us-east-1", "us-gov-west-1", "cn-north-1", "us-iso-east-1", "ap-south-1"}, Architecture: "x86_64",
		SourceImage: "ami-00000000000000001", InstanceID: "i-0123456789abcdef0", InstanceType: "g4dn.xlarge", Zone: "eu-central-1b", Market: "spot",
		PricePerHourUSD: 0.2104, PriceSource: "spot price history", InstanceSeconds: 1460, BilledSeconds: 1405, CostUSD: 0.0821, Capture: "stop",
		Images: map[string]string{
			"eu-central-1": "ami-0aaaaaaaaaaaaaaa1", "us-east-1": "ami-0aaaaaaaaaaaaaaa2", "us-gov-west-1": "ami-0aaaaaaaaaaaaaaa3",
			"cn-north-1": "ami-0aaaaaaaaaaaaaaa4", "us-iso-east-1": "ami-0aaaaaaaaaaaaaaa5",
		},
		Snapshots:     map[string][]string{"eu-central-1": {"snap-0aaaaaaaaaaaaaaa1"}, "us-east-1": {"snap-0aaaaaaaaaaaaaaa2"}},
		FailedRegions: map[string]string{"ap-south-1": "ResourceLimitExceeded: 100 copies are in progress"},
		Accounts:      map[string]map[string]string{"123456789012": {"us-east-1": "ami-0bbbbbbbbbbbbbbb1"}},
		Phases: []artifact.Phase{
			{Name: "preflight", Seconds: 2.4}, {Name: "launch", Seconds: 31, WaitedSeconds: 24, Questions: 6, OvershootSeconds: 3.6}, {Name: "connect", Seconds: 44},
			{Name: "provision", Seconds: 1170}, {Name: "stop", Seconds: 52, WaitedSeconds: 48, Questions: 9, OvershootSeconds: 6.2},
			{Name: "create_image", Seconds: 241, WaitedSeconds: 238, Questions: 12, OvershootSeconds: 2.1}, {Name: "tags", Seconds: 0.4},
			{Name: "distribute", Seconds: 512, WaitedSeconds: 508, Questions: 71, OvershootSeconds: 19.5},
		},
		LaunchTests: []artifact.LaunchTest{
			{Region: "eu-central-1", Image: "ami-0aaaaaaaaaaaaaaa1", InstanceType: "g4dn.xlarge", Verdict: artifact.TestPassed, Hashrate: 25.1e6, ExpectedHashrate: 25.2e6, BilledSeconds: 184, CostUSD: 0.0269,
				Checks: []artifact.TestCheck{{Name: "boot", Passed: true, Saw: "SSH after 41 s"}, {Name: "service", Passed: true, Saw: "active"}}},
			{Region: "us-east-1", Image: "ami-0aaaaaaaaaaaaaaa2", InstanceType: "g4dn.xlarge", Verdict: artifact.TestFailed, Reason: "ethminer.service is failed", Evidence: "launch-test-us-east-1.txt", ExpectedHashrate: 25.2e6,
				Checks: []artifact.TestCheck{{Name: "service", Saw: "exit status 1"}}},
			{Region: "us-gov-west-1", Image: "ami-0aaaaaaaaaaaaaaa3", Verdict: artifact.TestNotMade, Reason: "no capacity"},
		},
		Benchmark: m, Inventory: json.RawMessage(`{"commit": "1a2b3c", "driver": "580.95", "cuda": "12.9", "distribution": "ubuntu24.04", "kernel": "6.14.0-1018-aws"}`),
	}
	text, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	b, err := summary.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// diff is a diff of ethminer-cfn.
const diff = `diff example/eth-mining-cfn.template build/eth-mining-cfn.template
--- example/eth-mining-cfn.template
+++ build/eth-mining-cfn.template
@@ -3,7 +3,7 @@
   AWSRegion2AMI:
     eu-central-1:
-      AMI: ami-00000000000000001
+      AMI: ami-0aaaaaaaaaaaaaaa1
     us-east-1:
-      AMI: ami-00000000000000002
+      AMI: ami-0aaaaaaaaaaaaaaa2
`

// full is an input with every section.
func full(t testing.TB, gpus int) Input {
	t.Helper()
	earlier := build(t, 1)
	earlier.BuildID, earlier.StartedAt, earlier.InstanceType = "b-00000000000000aa", started.AddDate(0, -1, 0), "g4dn.2xlarge"
	oldest := summary.Build{Report: artifact.Report{BuildID: "b-00000000000000bb", StartedAt: started.AddDate(0, -2, 0), Rehearsal: true}}
	return Input{
		Build: build(t, gpus),
		Template: &artifact.Template{Path: "build/eth-mining-cfn.template", Diff: diff, Published: []string{
			"publish eth-mining-cfn.template: version 1.0.0, SHA-256 0123456789abcdef, 4096 bytes",
			"  s3         eu-central-1   https://templates-eu-central-1.s3.eu-central-1.amazonaws.com/eth/1.0.0/eth-mining-cfn.template",
		}},
		Earlier: []summary.Build{oldest, build(t, gpus), earlier}, // the second is this build
	}
}

// rehearsed is the report of a rehearsal without GPU and without cfn.
func rehearsed(t testing.TB) Input {
	t.Helper()
	b := build(t, 1)
	b.Rehearsal, b.LaunchTests, b.FailedRegions = true, nil, nil
	m := b.Measured
	m.Device, m.CPU, m.GPUs, m.Reference, m.Limit, m.LimitShare = miner.DeviceCPU, "AMD EPYC 7R13", nil, true, 0, 0
	for i := range m.Series {
		m.Series[i].Device, m.Devices[i].Name, m.Series[i].Sensors = "cp0", "cp0", nil
	}
	return Input{Build: b}
}
