// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"fmt"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
)

// BuilderID is the id of the artifacts of this post-processor.
const BuilderID = "ethminer.cfn"

// filledArtifact wraps the source artifact and adds the template that was written.
type filledArtifact struct {
	source packersdk.Artifact
	result artifact.Template
}

var _ packersdk.Artifact = (*filledArtifact)(nil)

func (a *filledArtifact) BuilderId() string { return BuilderID }

// Id returns the source's id (region:ami,...), so that later post-processors can
// use it.
func (a *filledArtifact) Id() string { return a.source.Id() }

func (a *filledArtifact) Files() []string {
	if a.result.NotWritten() != "" {
		return nil
	}
	return []string{a.result.Path}
}

func (a *filledArtifact) String() string {
	if why := a.result.NotWritten(); why != "" {
		return fmt.Sprintf("CloudFormation template: not written (%s)", why)
	}
	return fmt.Sprintf("CloudFormation template: %s", a.result.Path)
}

// State returns the source's state, and the result under artifact.StateTemplate.
func (a *filledArtifact) State(name string) interface{} {
	if name == artifact.StateTemplate {
		return a.result.JSON()
	}
	return a.source.State(name)
}

// Destroy does nothing: the template stays, and the images belong to their builder.
func (a *filledArtifact) Destroy() error { return nil }
