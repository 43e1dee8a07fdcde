// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package summary

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
)

// Text is what Packer prints for an artifact after everything else. The artifacts of a
// build share the work: the last one prints the summary, the others one line.
//
// An artifact cannot know whether another one follows, but Packer asks for its string
// only at the end. So each artifact claims the summary from its source.
type Text struct {
	// Build is nil if another artifact prints the summary, or if there is no report.
	Build *Build
	// Template and Page are what the post-processors have written; nil and "" before.
	Template *artifact.Template
	Page     string
	// Short is the line that is printed if another artifact has claimed the summary.
	Short string

	claimed atomic.Bool
}

// Follow returns the text of an artifact with the summary of its source, unless another
// artifact has claimed that. source is the State method of the source.
func Follow(source func(name string) any) *Text {
	t := &Text{}
	report, _ := source(artifact.StateBuild).(string)
	b, err := Decode([]byte(report))
	if err != nil { // the report of another builder, or none
		return t
	}
	if first, _ := source(artifact.StateSummary).(bool); !first {
		return t
	}
	t.Build = &b
	if template, ok := artifact.DecodeTemplate(source(artifact.StateTemplate)); ok {
		t.Template = &template
	}
	return t
}

// Claim leaves the summary to the artifact that asks for artifact.StateSummary, and
// reports whether this artifact had it.
func (t *Text) Claim() bool { return t.Build != nil && t.claimed.CompareAndSwap(false, true) }

// String returns the summary, or the short line if it was claimed.
func (t *Text) String() string {
	if t.claimed.Load() {
		return t.Short
	}
	var lines []string
	if t.Build != nil {
		lines = append(t.Build.imageLines(), t.Build.resultLines()...)
	}
	if t.Template != nil {
		lines = append(lines, templateLines(*t.Template)...)
	}
	if t.Page != "" {
		lines = append(lines, "build report: "+t.Page)
	}
	return strings.Join(lines, "\n") + "\n"
}

// templateLines returns what was written, and what was published.
func templateLines(t artifact.Template) []string {
	if why := t.NotWritten(); why != "" {
		return []string{fmt.Sprintf("CloudFormation template: not written (%s)", why)}
	}
	lines := []string{"CloudFormation template: " + t.Path}
	if t.Diff == "" {
		lines[0] += " (unchanged)"
	}
	if t.Publication != "" {
		lines = append(lines, "published: "+t.Publication)
	}
	return lines
}

// ImageCount counts the images of a build: "1 AMI", "8 AMIs".
func (b *Build) ImageCount() string {
	n := len(b.Images)
	for _, regions := range b.Accounts {
		n += len(regions)
	}
	return Count(n, "AMI")
}

// imageLines returns amazon-ebs's lines, the images of other accounts, and the regions
// without an image.
func (b *Build) imageLines() []string {
	lines := []string{"AMIs were created:"}
	for _, region := range slices.Sorted(maps.Keys(b.Images)) {
		lines = append(lines, region+": "+b.Images[region])
	}
	for _, account := range slices.Sorted(maps.Keys(b.Accounts)) {
		for _, region := range slices.Sorted(maps.Keys(b.Accounts[account])) {
			lines = append(lines, fmt.Sprintf("account %s, %s: %s", account, region, b.Accounts[account][region]))
		}
	}
	for _, region := range slices.Sorted(maps.Keys(b.FailedRegions)) {
		lines = append(lines, region+": no image (on_copy_failure = \"keep\")")
	}
	for _, account := range slices.Sorted(maps.Keys(b.FailedAccounts)) {
		for _, region := range slices.Sorted(maps.Keys(b.FailedAccounts[account])) {
			lines = append(lines, fmt.Sprintf("account %s, %s: no image (on_copy_failure = \"keep\")", account, region))
		}
	}
	return lines
}

// resultLines returns what is known about the images. The unknown has no line, except
// the limit of a measured rate.
func (b *Build) resultLines() (lines []string) {
	add := func(name string, f Fact) { lines = append(lines, fmt.Sprintf("%s: %s (%s)", name, f.Value, f.Note)) }
	if m := b.Measured; m != nil {
		add("hash rate", Fact{Value: m.Hashrate.String(), Note: m.Measured()})
		lines = append(lines, "share of the limit: "+b.limitShare())
	}
	for _, test := range b.LaunchTests {
		lines = append(lines, "launch test: "+test.Tag())
	}
	if len(b.Phases) > 0 {
		add("build time", b.timeFact())
	}
	if b.cost() > 0 {
		add("cost so far", b.costFact())
	}
	if b.Capture == artifact.CaptureNoReboot {
		lines = append(lines, "created without a reboot: the file systems may be inconsistent (capture = \"no-reboot\")")
	}
	return lines
}
