// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package report

import (
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
)

// BuilderID is the id of the artifacts of this post-processor.
const BuilderID = "ethminer.report"

// reportArtifact has the files that were written, and the id and state of the source
// artifact.
type reportArtifact struct {
	id, page string
	state    map[string]any
	text     *summary.Text
}

var _ packersdk.Artifact = (*reportArtifact)(nil)

func newArtifact(source packersdk.Artifact, page string) *reportArtifact {
	text := summary.Follow(source.State)
	text.Page, text.Short = page, "build report: "+page
	return &reportArtifact{source.Id(), page, artifact.PassOn(source.State), text}
}

func (a *reportArtifact) BuilderId() string { return BuilderID }

// Id returns the source's id (region:ami,...), so that later post-processors can
// use it.
func (a *reportArtifact) Id() string { return a.id }

func (a *reportArtifact) Files() []string { return []string{a.page, jsonBeside(a.page)} }

func (a *reportArtifact) String() string { return a.text.String() }

// State returns the source's state.
func (a *reportArtifact) State(name string) interface{} {
	if name == artifact.StateSummary {
		return a.text.Claim()
	}
	return a.state[name]
}

// Destroy does nothing: the files stay, and the images belong to their builder.
func (a *reportArtifact) Destroy() error { return nil }
