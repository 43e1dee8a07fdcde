// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpuoffers

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

func offer(t *testing.T, name string) Offer {
	t.Helper()
	entry, err := gpucatalog.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	o := Offer{Type: name, Architecture: "x86_64", GPU: entry.GPU, GPUs: entry.Count, MemoryMiB: int64(entry.MemoryGB * 1e9 / (1 << 20)), Zones: []string{"a"}}
	o.expect(entry.PublishedMhs, nil)
	return o
}

func TestRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		of     string
		change func(*Offer)
		wanted Wanted
		want   string
	}{
		{"everything is wanted", "g4dn.xlarge", nil, Wanted{}, ""},
		{"an unsupported GPU", "p2.xlarge", nil, Wanted{}, "not supported"},
		{"the architecture", "g4dn.xlarge", nil, Wanted{Architecture: "x86_64"}, ""},
		{"another architecture", "g4dn.xlarge", nil, Wanted{Architecture: "arm64"}, "another architecture"},
		{"one of the GPUs, in another case", "g4dn.xlarge", nil, Wanted{GPUs: []string{"A10G", "t4"}}, ""},
		{"another GPU", "g4dn.xlarge", nil, Wanted{GPUs: []string{"T4g"}}, "another GPU"},
		{"the compute capability", "g4dn.xlarge", nil, Wanted{Compute: []string{"7.5"}}, ""},
		{"another compute capability", "g4dn.xlarge", nil, Wanted{Compute: []string{"7.0"}}, "another compute capability"},
		{"the most GPUs", "g4dn.12xlarge", nil, Wanted{MaxGPUs: 4}, ""},
		{"too many GPUs", "g4dn.12xlarge", nil, Wanted{MaxGPUs: 3}, "more than 3 GPUs"},
		{"a DAG that fits", "g4dn.xlarge", nil, Wanted{DAGBytes: 14 << 30}, ""},
		{"a DAG without room for the miner", "g4dn.xlarge", nil, Wanted{DAGBytes: 148 << 30 / 10}, "a DAG of 14.80 GiB"},
		{"no zone", "g4dn.xlarge", func(o *Offer) { o.Zones = nil }, Wanted{}, "no zone"},
	} {
		o := offer(t, test.of)
		if test.change != nil {
			test.change(&o)
		}
		if got := test.wanted.refuses(o); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestTooExpensive(t *testing.T) {
	o := Offer{OnDemand: 1, Spot: map[string]float64{"a": 0.5, "b": 0.4}}
	for _, test := range []struct {
		name   string
		wanted Wanted
		refuse bool
	}{
		{"no limit", Wanted{Market: OnDemand}, false},
		{"exactly the price", Wanted{Market: OnDemand, MaxPrice: 1}, false},
		{"above the limit", Wanted{Market: OnDemand, MaxPrice: 0.99}, true},
		{"the cheapest zone counts", Wanted{Market: Spot, MaxPrice: 0.45}, false},
		{"every zone above the limit", Wanted{Market: Spot, MaxPrice: 0.39}, true},
	} {
		if got := test.wanted.tooExpensive(o); (got != "") != test.refuse {
			t.Errorf("%s: got %q", test.name, got)
		}
	}
	if got := (Wanted{Market: OnDemand, MaxPrice: 9}).tooExpensive(Offer{}); !strings.Contains(got, "unknown price") {
		t.Errorf("an unknown price: got %q", got)
	}
}

func TestSort(t *testing.T) {
	offers := []Offer{
		{Type: "unknown", Rate: 90e6},
		{Type: "fast", Rate: 100e6, OnDemand: 4, Spot: map[string]float64{"a": 1}},
		{Type: "good", Rate: 50e6, OnDemand: 1},
		{Type: "cheap", Rate: 20e6, OnDemand: 0.5, Spot: map[string]float64{"b": 0.4, "a": 0.3}},
		{Type: "cheap too", Rate: 20e6, OnDemand: 0.5},
	}
	for _, test := range []struct{ order, market, want string }{
		{ByRatePerDollar, OnDemand, "good, cheap, cheap too, fast, unknown"},
		{ByRatePerDollar, Spot, "fast, cheap, unknown, good, cheap too"},
		{ByRate, OnDemand, "fast, unknown, good, cheap, cheap too"},
		{ByPrice, OnDemand, "cheap, cheap too, good, fast, unknown"},
		{ByPrice, Spot, "cheap, fast, unknown, good, cheap too"},
	} {
		for range 2 { // also from the reverse order
			slices.Reverse(offers)
			Sort(offers, test.order, test.market)
			var got []string
			for _, o := range offers {
				got = append(got, o.Type)
			}
			if strings.Join(got, ", ") != test.want {
				t.Errorf("by %s, %s: got %s, want %s", test.order, test.market, strings.Join(got, ", "), test.want)
			}
		}
	}
}

// TestTypicalShare: the share is the median of the catalog's published rates.
func TestTypicalShare(t *testing.T) {
	var shares []float64
	for _, name := range gpucatalog.Families() {
		if e, _ := gpucatalog.Lookup(name); e.PublishedMhs > 0 {
			shares = append(shares, e.PublishedMhs*1e6/float64(miner.BandwidthLimit(e.BandwidthGBs*1e9)))
		}
	}
	slices.Sort(shares)
	median := (shares[(len(shares)-1)/2] + shares[len(shares)/2]) / 2
	if math.Abs(median-typicalShare) > 0.01 {
		t.Errorf("got %v, the median of %v is %.3f", typicalShare, shares, median)
	}
}

// report returns the report of a build with a benchmark.
func report(t *testing.T, instanceType string, change func(*artifact.Report, *miner.Report)) artifact.Report {
	t.Helper()
	r := artifact.Report{BuildID: "b", InstanceType: instanceType}
	b := miner.Report{
		SchemaVersion: miner.ReportSchema, Device: miner.DeviceCUDA, Hashrate: 24e6, Verdict: miner.VerdictPassed, GPUs: []string{"Tesla T4"},
		DAGBytes: 4 << 30, StartedAt: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	}
	if change != nil {
		change(&r, &b)
	}
	text, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if r.Benchmark == nil {
		r.Benchmark = json.RawMessage(text)
	}
	return r
}

func TestMeasured(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*artifact.Report, *miner.Report)
		err    string
	}{
		{"a benchmark of a GPU", nil, ""},
		{"a rehearsal", func(r *artifact.Report, _ *miner.Report) { r.Rehearsal = true }, "rehearsal"},
		{"no benchmark", func(r *artifact.Report, _ *miner.Report) { r.Benchmark = json.RawMessage{} }, "no benchmark"},
		{"the reference miner", func(_ *artifact.Report, b *miner.Report) { b.Reference = true }, "reference miner"},
		{"a CPU", func(_ *artifact.Report, b *miner.Report) { b.Device = miner.DeviceCPU }, "CPU"},
		{"a failure", func(_ *artifact.Report, b *miner.Report) { b.Verdict = miner.VerdictFailed }, "failed"},
		{"an unknown type", func(r *artifact.Report, _ *miner.Report) { r.InstanceType = "m5.large" }, `"m5.large"`},
		{"a newer schema", func(_ *artifact.Report, b *miner.Report) { b.SchemaVersion++ }, "schema_version"},
	} {
		_, err := Measured(report(t, "g4dn.xlarge", test.change))
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.err)
		}
	}
}

func TestExpectedRates(t *testing.T) {
	on := func(instanceType string, mhs float64, gpus int, day int) Measurement {
		m, err := Measured(report(t, instanceType, func(_ *artifact.Report, b *miner.Report) {
			b.Hashrate, b.GPUs, b.StartedAt = miner.Rate(mhs*1e6), slices.Repeat([]string{"GPU"}, gpus), time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC)
		}))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, test := range []struct {
		name     string
		of       string
		measured []Measurement
		mhs      float64
		source   string
	}{
		{"published", "g4dn.12xlarge", nil, 100, EstimatePublished},
		{"by bandwidth", "g6.xlarge", nil, 36.62 * typicalShare, EstimateBandwidth},
		{"measured on the type", "g4dn.xlarge", []Measurement{on("g4dn.xlarge", 24, 1, 1)}, 24, "measured on g4dn.xlarge at a DAG of 4.00 GiB on 2026-03-01"},
		{"the newest one", "g4dn.xlarge", []Measurement{on("g4dn.xlarge", 26, 1, 2), on("g4dn.xlarge", 24, 1, 1)}, 26, "measured on g4dn.xlarge at a DAG of 4.00 GiB on 2026-03-02"},
		{"the type before the GPU", "g4dn.xlarge", []Measurement{on("g4dn.xlarge", 24, 1, 1), on("g4dn.12xlarge", 104, 4, 2)}, 24, "measured on g4dn.xlarge at a DAG of 4.00 GiB on 2026-03-01"},
		{"the same GPU", "g4dn.xlarge", []Measurement{on("g4dn.12xlarge", 104, 4, 2)}, 26, "measured on g4dn.12xlarge at a DAG of 4.00 GiB on 2026-03-02"},
		{"another GPU", "g5g.xlarge", []Measurement{on("g4dn.xlarge", 24, 1, 1)}, 25, EstimatePublished},
		{"a V100 with other memory", "p3dn.24xlarge", []Measurement{on("p3.2xlarge", 90, 1, 1)}, 86.5 * 8, EstimatePublished},
	} {
		entry, err := gpucatalog.Lookup(test.of)
		if err != nil {
			t.Fatal(err)
		}
		o := Offer{Type: test.of, GPU: entry.GPU, GPUs: entry.Count}
		o.expect(entry.PublishedMhs, test.measured)
		if math.Abs(float64(o.Rate)/1e6-test.mhs) > 0.01 || o.RateSource != test.source {
			t.Errorf("%s: got %.2f Mh/s, %s, want %.2f, %s", test.name, float64(o.Rate)/1e6, o.RateSource, test.mhs, test.source)
		}
		if len(test.measured) == 0 && o.Rate > o.Limit {
			t.Errorf("%s: the estimate %v is above the limit %v", test.name, o.Rate, o.Limit)
		}
	}
}
