// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package reportpage

import (
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
)

// barWidth is the width of the timeline in its own units.
const barWidth = 1000

// shortest is the share of the build below which a phase without a wait is not listed
// by itself.
const shortest = 0.01

// bar is a row of the timeline. Its lengths are in barWidth.
type bar struct {
	artifact.Phase
	Start float64 // in seconds since the start of the build
	Short int     // the number of phases that the row sums up; it has no bar

	At, Length, Wait, Over float64
}

// timeline returns the phases in their order, and at the end one row for the short ones.
func timeline(b summary.Build) (rows []bar) {
	total := b.Seconds()
	if total <= 0 {
		return nil
	}
	var start float64
	short := bar{}
	for _, p := range b.Phases {
		at := start
		start += p.Seconds
		if p.Seconds < shortest*total && p.WaitedSeconds == 0 {
			short.Short++
			short.Seconds += p.Seconds
			continue
		}
		p.Name = strings.ReplaceAll(p.Name, "_", " ")
		scale := barWidth / total
		rows = append(rows, bar{
			Phase: p, Start: at, At: at * scale, Length: p.Seconds * scale,
			Wait: min(p.WaitedSeconds, p.Seconds) * scale, Over: min(p.OvershootSeconds, p.WaitedSeconds, p.Seconds) * scale,
		})
	}
	if short.Short > 0 {
		short.Name = summary.Count(short.Short, "shorter phase")
		rows = append(rows, short)
	}
	return rows
}

// WaitAt is the start of the wait's part of the bar: the report does not tell when a
// phase waited, so it is drawn at the end.
func (r bar) WaitAt() float64 { return r.At + r.Length - r.Wait }

// OverAt is the start of the overshoot's part of the bar.
func (r bar) OverAt() float64 { return r.At + r.Length - r.Over }
