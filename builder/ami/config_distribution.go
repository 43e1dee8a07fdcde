// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

import (
	"fmt"
)

// DistributionConfig says how the image comes to its regions, and what becomes of older ones.
type DistributionConfig struct {
	// What becomes of a build when a region does not get its image, although
	// the copy was tried again. `rollback` (default): all of its images are
	// removed, and the build fails. `keep`: the other regions get theirs, the
	// artifact has those, and the build says which are missing; it fails only
	// where no region got one. `retry-later`: the build fails at once and
	// removes nothing; copies that are under way go on, and the same build with
	// its id as `build_id` adopts them and makes what is missing. Cancelling
	// (Ctrl-C) removes everything in each case.
	OnCopyFailure string `mapstructure:"on_copy_failure" required:"false"`
	// How many copies are under way at the same time, over all regions; a copy
	// takes as long as its slowest companion anyway, so fewer only make a build
	// longer. Default `0`, which is all of them: EC2's limit is 20 a region,
	// and a build makes one a region.
	CopyParallelism int `mapstructure:"copy_parallelism" required:"false"`
	// The family that the image is a release of, as its tag `ethminer:family`.
	// Default: `ami_name` without the time, date or version at its end, so that
	// `ethminer-1732412345` is of the family `ethminer`.
	ReleaseFamily string `mapstructure:"release_family" required:"false"`
}

// What on_copy_failure may be.
const (
	onFailureRollback = "rollback"
	onFailureKeep     = "keep"
	onFailureLater    = "retry-later"
)

// prepare fills in defaults and checks the options.
func (o *DistributionConfig) prepare(c *Config) (warnings []string, errs []error) {
	switch o.OnCopyFailure {
	case "":
		o.OnCopyFailure = onFailureRollback
	case onFailureRollback, onFailureKeep, onFailureLater:
	default:
		errs = append(errs, fmt.Errorf("on_copy_failure: %q; expected %q, %q or %q",
			o.OnCopyFailure, onFailureRollback, onFailureKeep, onFailureLater))
	}
	if o.CopyParallelism < 0 {
		errs = append(errs, fmt.Errorf("copy_parallelism: %d; expected a number of copies, or 0 for all of them", o.CopyParallelism))
	}
	if len([]rune(o.ReleaseFamily)) > mostTagValue {
		errs = append(errs, fmt.Errorf("release_family: it has %d characters; expected at most %d, as it becomes a tag", len([]rune(o.ReleaseFamily)), mostTagValue))
	}
	return nil, append(errs, c.checkTags()...)
}
