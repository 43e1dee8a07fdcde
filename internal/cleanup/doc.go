// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package cleanup records, finds and removes the resources of a build.
//
// A [Ledger] records what a build has created and has neither deleted nor handed
// over. An id is recorded before any wait for it.
//
// A [Remover] removes. Builds that end, are cancelled or resumed, and sweeps all
// use it. EC2 and IAM are eventually consistent: for a while they do not find a
// new resource, and a removal does nothing. So a resource counts as removed only
// after it was seen; one that was never seen may still appear.
//
// A sweep finds the leftovers of builds that died before they could clean up. A
// resource is a leftover if it has a build id, its expiry has passed and, for
// images and snapshots, the build has not tagged them as released or held
// (internal/tags). Other resources are never changed.
package cleanup
