// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package artifact

// BuilderID is the id of the artifacts of ethminer-ami.
const BuilderID = "ethminer.ami"

// State keys of the artifact, in addition to generated_data and HCP Packer's.
const (
	// StateBuild holds the build's report as JSON text, see Report.
	StateBuild = "ethminer.build"
	// StateRehearsal is true for images that exist in a rehearsal only.
	StateRehearsal = "ethminer.rehearsal"
	// StateRehearsalDir is the state directory of the rehearsal's server.
	StateRehearsalDir = "ethminer.rehearsal_state"
	// StateChecked holds the settings of ethminer-cfn that the preflight has checked, as
	// JSON text; empty if none.
	StateChecked = "ethminer.checked"
	// StateRemoval holds the AWS CLI commands that remove the images and their
	// snapshots, one per line.
	StateRemoval = "ethminer.removal"
	// StateSummary asks the artifact to leave the summary of the build to the one that
	// asks, which Packer prints later. The value is true for the first to ask.
	StateSummary = "ethminer.summary"
	// StateTemplate holds the result of ethminer-cfn as JSON text, see Template.
	StateTemplate = "ethminer.template"
)
