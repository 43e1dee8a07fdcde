// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package machinereadable names the messages for programs that read the output of
// `packer build -machine-readable`. docs/output.md documents their values, all of them
// strings; an unknown value is empty. Values are only added at the end.
package machinereadable

// The types of the messages.
const (
	// Phase is a phase of ethminer-gpu: its name, Started, Done, Skipped or Failed, and
	// the seconds that it took.
	Phase = "ethminer-phase"
	// Progress is a pending image, whenever a line about it is printed: its region and id, the percentage, the expected
	// seconds until it is available, and its account if that is not the build's.
	Progress = "ethminer-progress"
	// Image is an image of a complete build: its region and id, and its account if that
	// is not the build's.
	Image = "ethminer-image"
	// Hashrate is the benchmark: hashes per second, and the share of the limit.
	Hashrate = "ethminer-hashrate"
	// LaunchTest is a launch test: the region and id of the image, the verdict, and
	// hashes per second.
	LaunchTest = "ethminer-launch-test"
	// Cost is the cost of the instances of this run in US dollars, without interrupted
	// spot instances.
	Cost = "ethminer-cost"
	// Template is the path of the CloudFormation template that was written.
	Template = "ethminer-template"
	// Published is a target of publish: its kind (s3, parameter or stack-set), region,
	// and name or URL, and the version.
	Published = "ethminer-published"
	// Report is the paths of the page and the JSON of ethminer-report.
	Report = "ethminer-report"
)

// States of a phase.
const (
	Started = "started"
	Done    = "done"
	Skipped = "skipped"
	Failed  = "failed"
)
