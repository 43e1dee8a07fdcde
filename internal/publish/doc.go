// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package publish publishes a filled template to the places from which stacks are
// launched: S3 buckets, SSM parameters and a CloudFormation stack set, in many
// regions. It also rolls back to an earlier version.
//
// A publication is first computed, as a Plan, and then carried out in steps, one
// file each. A step begins after the previous one is complete in every region:
//
//	look      reads `latest` in each bucket              writes nothing
//	upload    templates/VERSION/NAME, written once
//	verify    read back, compared and validated          until here no `latest` has changed
//	flip      templates/latest/NAME, the first region, then the others
//	record    history/NAME/NUMBER.json, written once
//	announce  SSM parameters
//	roll out  the stack set
//	seal      history/NAME/NUMBER.done, written once
//
// # Concurrent builds
//
// The first region decides. Its `latest` is written on the condition that it has
// not changed since it was read, so one of two builds wins and the other stops. Two
// builds that publish the same content are one publication, and both succeed.
// A build reads the `latest` of any other region either before it wins the first
// region, or while the first region still has its content. It writes on the same
// condition. A build that has lost the first region can therefore overwrite only
// older content. The condition of the winner then fails, and it retries until every
// region has the content of the first one.
//
// # Resuming
//
// Every step reads the current state and does what is missing. A publication has
// a number, which `latest` carries as metadata: publishing the same version again
// resumes the same number. A rollback is the publication of an earlier version.
package publish
