// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package stackset rolls a template out to a CloudFormation stack set, stage by stage.
//
// Config says what is wanted, and Set is the set in AWS. A roll-out begins with Check,
// which changes nothing, and continues with RollOut, which resumes an interrupted one:
// it reads the current state, and does what is missing. Forecast checks a template that is
// not uploaded yet, and Findings compares the set with what was rolled out.
//
// Retries, messages and earlier templates are the publication's: see Caller and History.
package stackset
