// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
)

// BuilderID is the id of the artifacts of this post-processor.
const BuilderID = "ethminer.cfn"

// filledArtifact has the template that was written, and the id and state of the source
// artifact.
type filledArtifact struct {
	id     string
	state  map[string]any
	result artifact.Template
	text   *summary.Text
}

var _ packersdk.Artifact = (*filledArtifact)(nil)

func newArtifact(source packersdk.Artifact, result artifact.Template) *filledArtifact {
	text, state := &summary.Text{}, artifact.PassOn(source.State)
	if state[artifact.StateTemplate] == nil { // else the source prints the summary, with its template
		text = summary.Follow(source.State)
	}
	text.Template, text.Short = &result, "CloudFormation template: see below"
	state[artifact.StateTemplate] = result.JSON()
	return &filledArtifact{source.Id(), state, result, text}
}

func (a *filledArtifact) BuilderId() string { return BuilderID }

// Id returns the source's id (region:ami,...), so that later post-processors can
// use it.
func (a *filledArtifact) Id() string { return a.id }

func (a *filledArtifact) Files() []string {
	if a.result.NotWritten() != "" {
		return nil
	}
	return []string{a.result.Path}
}

func (a *filledArtifact) String() string { return a.text.String() }

// State returns the source's state, and the result under artifact.StateTemplate.
func (a *filledArtifact) State(name string) interface{} {
	if name == artifact.StateSummary {
		return a.text.Claim()
	}
	return a.state[name]
}

// Destroy does nothing: the template stays, and the images belong to their builder.
func (a *filledArtifact) Destroy() error { return nil }
