// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"fmt"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// BuilderID is the id of the artifacts of this post-processor.
const BuilderID = "ethminer.cfn"

// artifact is the artifact that came in, and the template that was written.
type artifact struct {
	source packersdk.Artifact
	path   string // empty after a dry run
}

var _ packersdk.Artifact = (*artifact)(nil)

func (a *artifact) BuilderId() string { return BuilderID }

// Id is that of the source, region:ami,..., so that what follows can use it.
func (a *artifact) Id() string { return a.source.Id() }

func (a *artifact) Files() []string {
	if a.path == "" {
		return nil
	}
	return []string{a.path}
}

func (a *artifact) String() string {
	if a.path == "" {
		return "CloudFormation template: not written (dry_run)"
	}
	return fmt.Sprintf("CloudFormation template: %s", a.path)
}

func (a *artifact) State(name string) interface{} { return a.source.State(name) }

// Destroy leaves the template as it is, and the images to their builder.
func (a *artifact) Destroy() error { return nil }
