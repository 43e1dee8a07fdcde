// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package publish brings a filled template to where stacks are launched from:
// S3 buckets, SSM parameters and a CloudFormation stack set, in many regions,
// and back to the version before.
//
// What will be done is computed first, as a Plan, and then done in steps, a file
// each; a step begins when the one before it is done in every region:
//
//	look      what `latest` is in each bucket            nothing is written
//	upload    templates/VERSION/NAME, written once
//	verify    read back, compared, and validated         up to here no `latest` has changed
//	flip      templates/latest/NAME, the first region, then the others
//	record    history/NAME/NUMBER.json, written once
//	announce  SSM parameters
//	roll out  the stack set
//	seal      history/NAME/NUMBER.done, written once
//
// # Two builds at once
//
// The first region decides. Its `latest` is written on the condition that it is
// what was seen, so of two builds one wins, and the other stops. What is seen of
// another region's `latest` is seen before the first region is won, or is known
// to be still won, and is written on that condition. So a build that has lost
// the first region in between can only write over what is older, and the winner,
// whose own condition fails then, sees it and goes on until every region has
// what the first one has.
//
// # Killed and run again
//
// Every step looks at what there is and does what is missing. A publication has
// a number, which `latest` carries as metadata: the same version run again goes
// on with the same number. A rollback is the publication of an older version.
package publish
