// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
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
	// The id of a build to resume, as a failed build has printed it. What it
	// has left is adopted by its tag `ethminer:build-id`, copies that are under
	// way too; only what is missing is made, and no instance is launched where
	// the image exists in any of its regions; where it does not, the image is
	// built anew under this id. What else the build has left (an instance, its
	// security group and key pair) is removed. Images that a resumed build has adopted are never removed by it. By
	// default each build has a new id.
	BuildID string `mapstructure:"build_id" required:"false"`
	// An image to distribute, instead of building one: `ami-...` in the build's
	// region, or `region:ami-...`. No instance, key pair or security group is
	// made; the image is copied to `ami_regions` (and to the build's region,
	// where it is in another) under `ami_name`, by default its own name. Copies
	// of it that have the name already are adopted. The image itself is named
	// by the artifact in its region, and never changed or removed.
	SourceAMIFrom string `mapstructure:"source_ami_from" required:"false"`
	// The family that the image is a release of, as its tag `ethminer:family`.
	// Default: `ami_name` without the time, date or version at its end, so that
	// `ethminer-1732412345` is of the family `ethminer`.
	ReleaseFamily string `mapstructure:"release_family" required:"false"`
	// How many releases of the family stay as they are in each region, the new
	// one included. Once the new images are released in all regions, each older
	// one that nothing names is deprecated and disabled, and by a build that
	// comes `retire_after` later deregistered with its snapshots. The build says
	// a line for each, and does not fail over it. Default `0`: older releases
	// are left alone.
	KeepReleases int `mapstructure:"keep_releases" required:"false"`
	// How long an older release is disabled before it is deregistered, in which
	// it can be enabled again: days such as `30d`, or a duration such as `12h`.
	// Default `30d`.
	RetireAfter string `mapstructure:"retire_after" required:"false"`
	// Files, or patterns of files such as `templates/*.yaml`, whose every AMI id
	// is kept. The template that `ethminer-cfn` fills belongs here: it is filled
	// after older releases are retired, so what it named before stays until the
	// next build. While one of them cannot be read, nothing is retired.
	KeepNamedIn []string `mapstructure:"keep_named_in" required:"false"`

	retireAfter time.Duration
}

// defaultRetireAfter is retire_after.
const defaultRetireAfter = 30 * 24 * time.Hour

// What on_copy_failure may be.
const (
	onFailureRollback = "rollback"
	onFailureKeep     = "keep"
	onFailureLater    = "retry-later"
)

var (
	buildIDSyntax = lazyregexp.New(`^[0-9A-Za-z-]{8,64}$`)
	sourceSyntax  = lazyregexp.New(`^([a-z]{2,4}(-[a-z]+)+-[0-9]+:)?ami-[0-9a-f]{8,17}$|^<unknown>$`)
)

// prepare fills in defaults and checks the options.
func (o *DistributionConfig) prepare(c *Config) (warnings []string, errs []error) {
	switch o.OnCopyFailure {
	case "":
		o.OnCopyFailure = onFailureRollback
	case onFailureRollback, onFailureKeep, onFailureLater, unknownValue:
	default:
		errs = append(errs, fmt.Errorf("on_copy_failure: %q; expected %q, %q or %q",
			o.OnCopyFailure, onFailureRollback, onFailureKeep, onFailureLater))
	}
	if o.BuildID != "" && o.BuildID != unknownValue && !buildIDSyntax.MatchString(o.BuildID) {
		errs = append(errs, fmt.Errorf("build_id: %q; expected the id that the failed build has printed, such as %q", o.BuildID, "6741f2a3-7c1e-4b0a-9f58-0d5c2f6f7b11"))
	}
	if o.SourceAMIFrom != "" && !sourceSyntax.MatchString(o.SourceAMIFrom) {
		errs = append(errs, fmt.Errorf("source_ami_from: %q; expected an image such as \"ami-0123456789abcdef0\", or \"eu-central-1:ami-0123456789abcdef0\" for one in another region", o.SourceAMIFrom))
	}
	for _, pair := range []struct {
		a, b string
		both bool
		why  string
	}{
		{"build_id", "source_ami_from", o.BuildID != "" && o.SourceAMIFrom != "", "copies are found by their name, which needs no id"},
		{"build_id", "skip_create_ami", o.BuildID != "" && c.SkipCreateAMI, "there is no image to go on from"},
		{"source_ami_from", "skip_create_ami", o.SourceAMIFrom != "" && c.SkipCreateAMI, "there would be nothing to do"},
	} {
		if pair.both {
			errs = append(errs, fmt.Errorf("%s, %s: only one of them can be set: %s", pair.a, pair.b, pair.why))
		}
	}
	if o.CopyParallelism < 0 {
		errs = append(errs, fmt.Errorf("copy_parallelism: %d; expected a number of copies, or 0 for all of them", o.CopyParallelism))
	}
	if len([]rune(o.ReleaseFamily)) > mostTagValue {
		errs = append(errs, fmt.Errorf("release_family: it has %d characters; expected at most %d, as it becomes a tag", len([]rune(o.ReleaseFamily)), mostTagValue))
	}
	errs = append(errs, o.prepareReleases()...)
	return nil, append(errs, c.checkTags()...)
}

func (o *DistributionConfig) prepareReleases() (errs []error) {
	if o.KeepReleases < 0 {
		errs = append(errs, fmt.Errorf("keep_releases: %d; expected how many to keep, the new one included, or 0 to leave older ones alone", o.KeepReleases))
	}
	var err error
	switch days, isDays := strings.CutSuffix(o.RetireAfter, "d"); {
	case o.RetireAfter == "", o.RetireAfter == unknownValue:
		o.retireAfter = defaultRetireAfter
	case isDays:
		var n uint64
		n, err = strconv.ParseUint(days, 10, 12)
		o.retireAfter = time.Duration(n) * 24 * time.Hour
	default:
		o.retireAfter, err = time.ParseDuration(o.RetireAfter)
	}
	if err != nil || o.retireAfter < 0 {
		errs = append(errs, fmt.Errorf("retire_after: %q; expected days such as \"30d\", or a duration such as \"12h\"", o.RetireAfter))
	}
	for i, pattern := range o.KeepNamedIn {
		if _, err := filepath.Match(pattern, ""); err != nil {
			errs = append(errs, fmt.Errorf("keep_named_in[%d]: %q: %w; expected a file, or a pattern such as \"templates/*.yaml\"", i, pattern, err))
		}
	}
	if o.KeepReleases == 0 && (o.RetireAfter != "" || len(o.KeepNamedIn) > 0) {
		errs = append(errs, fmt.Errorf("retire_after, keep_named_in: they mean nothing without keep_releases; set it, or leave them out"))
	}
	return errs
}
