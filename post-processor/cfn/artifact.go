// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"fmt"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// BuilderID is the id of the artifacts of this post-processor.
const BuilderID = "ethminer.cfn"

// filledArtifact wraps the source artifact and adds the template that was written.
type filledArtifact struct {
	source packersdk.Artifact
	path   string // empty if it was not written
	why    string // it was not written
}

var _ packersdk.Artifact = (*filledArtifact)(nil)

func (a *filledArtifact) BuilderId() string { return BuilderID }

// Id returns the source's id (region:ami,...), so that later post-processors can
// use it.
func (a *filledArtifact) Id() string { return a.source.Id() }

func (a *filledArtifact) Files() []string {
	if a.path == "" {
		return nil
	}
	return []string{a.path}
}

func (a *filledArtifact) String() string {
	if a.path == "" {
		return fmt.Sprintf("CloudFormation template: not written (%s)", a.why)
	}
	return fmt.Sprintf("CloudFormation template: %s", a.path)
}

func (a *filledArtifact) State(name string) interface{} { return a.source.State(name) }

// Destroy does nothing: the template stays, and the images belong to their builder.
func (a *filledArtifact) Destroy() error { return nil }
