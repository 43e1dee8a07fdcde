// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package summary

import (
	"fmt"
	"math"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/usd"
)

// Fact is a name with its value, and a note to it.
type Fact struct{ Name, Value, Note string }

// Facts returns the most important results.
func (b Build) Facts() []Fact {
	regions := Fact{Name: "Regions", Value: fmt.Sprintf("%d of %d", len(b.Images), max(len(b.Regions), len(b.Images))), Note: "have an image"}
	return []Fact{regions, b.rateFact(), b.limitFact(), b.launchFact(), b.timeFact(), b.costFact()}
}

func (b Build) rateFact() Fact {
	f := Fact{Name: "Hash rate", Value: "unknown", Note: "the image was not benchmarked"}
	if m := b.Measured; m != nil {
		f.Value, f.Note = m.Hashrate.String(), fmt.Sprintf("median of %d samples in %s", m.Samples, m.Window())
	} else if b.Unreadable != nil {
		f.Note = "the benchmark cannot be read"
	}
	return f
}

func (b Build) limitFact() Fact {
	f := Fact{Name: "Share of the limit", Value: "unknown", Note: "the memory bandwidth of the device is unknown"}
	if m := b.Measured; m != nil && m.LimitShare > 0 {
		f.Value, f.Note = Share(m.LimitShare), fmt.Sprintf("of %s, which the memory bandwidth allows (%s)", m.Limit, m.LimitSource)
	}
	return f
}

// limitShare is limitFact in one line.
func (b *Build) limitShare() string {
	if m := b.Measured; m.LimitShare > 0 {
		return fmt.Sprintf("%s of %s, the limit by memory bandwidth (%s)", Share(m.LimitShare), m.Limit, m.LimitSource)
	}
	return "unknown, as is the memory bandwidth of the device"
}

func (b Build) launchFact() Fact {
	f := Fact{Name: "Launch test", Value: "not made", Note: "no image has been launched since it was built"}
	var passed, failed int
	for _, t := range b.LaunchTests {
		switch t.Verdict {
		case artifact.TestPassed:
			passed++
		case artifact.TestFailed:
			failed++
		}
	}
	switch tested := passed + failed; {
	case failed > 0:
		f.Value, f.Note = "failed", fmt.Sprintf("in %d of %s", failed, Count(tested, "tested region"))
	case passed > 0:
		f.Value, f.Note = "passed", fmt.Sprintf("in %s", Count(passed, "tested region"))
	}
	return f
}

func (b Build) timeFact() Fact {
	f := Fact{Name: "Build time", Value: "unknown", Note: "the report has no phases"}
	if len(b.Phases) > 0 {
		f.Value, f.Note = Duration(b.Seconds()), "of this run"
		if b.InstanceSeconds > 0 {
			f.Note = "the instance existed for " + Duration(float64(b.InstanceSeconds))
		}
	}
	return f
}

// cost returns the known cost of the instances of this run in US dollars, without
// interrupted spot instances.
func (b Build) cost() float64 {
	total := b.CostUSD
	for _, t := range b.LaunchTests {
		total += t.CostUSD
	}
	return math.Round(total*10000) / 10000
}

// costFact returns the cost of the instances. The price of snapshots depends on how
// long they are kept.
func (b Build) costFact() Fact {
	f := Fact{Name: "Cost so far", Value: "unknown", Note: "the price of the instance is unknown"}
	var parts []string
	if b.CostUSD > 0 {
		parts = append(parts, fmt.Sprintf("instance for %s at %s an hour", Duration(b.BilledSeconds), usd.Price(b.PricePerHourUSD)))
	}
	if tests := b.cost() - b.CostUSD; tests > 0 {
		parts = append(parts, "launch tests "+usd.Cost("", tests))
	}
	if len(parts) == 0 {
		return f
	}
	f.Value, f.Note = usd.Cost("", b.cost()), strings.Join(parts, ", ")+"; without volumes, snapshots and transfer"
	if b.SpotReclaims > 0 {
		f.Note += ", and without the interrupted spot instances"
	}
	if b.Resumed {
		f.Note += "; of this run only"
	}
	if b.Rehearsal {
		f.Note += "; simulated, nothing was charged"
	}
	return f
}
