// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package report

import packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

// BuilderID is the id of the artifacts of this post-processor.
const BuilderID = "ethminer.report"

// reportArtifact wraps the source artifact and adds the files that were written.
type reportArtifact struct {
	source packersdk.Artifact
	page   string
}

var _ packersdk.Artifact = (*reportArtifact)(nil)

func (a *reportArtifact) BuilderId() string { return BuilderID }

// Id returns the source's id (region:ami,...), so that later post-processors can
// use it.
func (a *reportArtifact) Id() string { return a.source.Id() }

func (a *reportArtifact) Files() []string { return []string{a.page, jsonBeside(a.page)} }

func (a *reportArtifact) String() string { return "Build report: " + a.page }

func (a *reportArtifact) State(name string) interface{} { return a.source.State(name) }

// Destroy does nothing: the files stay, and the images belong to their builder.
func (a *reportArtifact) Destroy() error { return nil }
