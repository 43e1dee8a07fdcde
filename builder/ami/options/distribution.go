// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package options

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
	"github.com/eth-mining/packer-plugin-ethminer/internal/retention"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// DistributionConfig configures the distribution of the image to regions and the
// retention of older images.
type DistributionConfig struct {
	// The action to take when the copy to a region fails after all retries.
	// `rollback` (default) deletes all images of the build and fails the build.
	// `keep` completes the other regions, returns them in the artifact and
	// reports the missing ones; the build fails only if no region has an image.
	// `retry-later` fails the build immediately and deletes nothing: pending
	// copies continue, and a run with the same `build_id` adopts them and creates
	// the missing ones. Cancelling the build (Ctrl-C) deletes its resources
	// whatever this option is, unless all its images are complete.
	OnCopyFailure string `mapstructure:"on_copy_failure" required:"false"`
	// Other accounts that get their own copies of the image, one block per account
	// (see [Accounts](#accounts)). Each image is shared with the account until it has
	// copied it, and not longer. Empty by default.
	AMIAccounts []AccountConfig `mapstructure:"ami_accounts" required:"false"`
	// The maximum number of concurrent copies over all regions. Default `0`, for
	// no limit: EC2 allows 20 concurrent copies per region, and a build makes one
	// per region. A lower number only makes the build longer.
	CopyParallelism int `mapstructure:"copy_parallelism" required:"false"`
	// The id of a failed build to resume, as printed by that build. The build
	// adopts its images by the tag `ethminer:build-id`, pending copies included,
	// and creates only the missing ones. No instance is launched if the image
	// exists in any region; otherwise the image is built again under this id.
	// Other leftovers (an instance, its security group and key pair) are deleted.
	// A resumed build never deletes adopted images. By default each build has a
	// new id.
	BuildID string `mapstructure:"build_id" required:"false"`
	// An existing image to distribute instead of building one: `ami-...` in the
	// build's region, or `region:ami-...`. No instance, key pair or security
	// group is created. The image is copied to `ami_regions`, and to the build's
	// region if it is in another one, under `ami_name` (default: the image's own
	// name). Existing copies with this name are adopted. The artifact lists the
	// image itself for its region; the build never changes or deletes it. Not set
	// by default.
	SourceAMIFrom string `mapstructure:"source_ami_from" required:"false"`
	// The family that the image is a release of, stored as the tag
	// `ethminer:family`. Default: `ami_name` without the time, date or version at
	// its end; `ethminer-1732412345` belongs to the family `ethminer`.
	ReleaseFamily string `mapstructure:"release_family" required:"false"`
	// The number of releases of the family to keep in each region, including the
	// new one. Once the new images are released in all regions, the build
	// deprecates and disables each older image that is not in use. A build at
	// least `retire_after` later deregisters it and deletes its snapshots. The
	// build prints one line per image, and does not fail on errors. Default `0`:
	// older releases are not changed.
	KeepReleases int `mapstructure:"keep_releases" required:"false"`
	// The time between disabling an older release and deregistering it: days such
	// as `30d`, or a duration such as `12h`. Until then the image can be enabled
	// again. Default `30d`.
	RetireAfter string `mapstructure:"retire_after" required:"false"`
	// Files, or patterns such as `templates/*.yaml`, that list AMI ids to keep:
	// an image is not retired if one of them contains its id. Include the
	// template that `ethminer-cfn` fills. Older releases are retired before the
	// template is filled, so the images that this build replaces in it are kept
	// until the next build. Each file must exist, and each pattern must match
	// one; only the `output` of `ethminer_cfn` may be missing. If a file cannot
	// be read, nothing is retired. Empty by default.
	KeepNamedIn []string `mapstructure:"keep_named_in" required:"false"`

	retireAfter time.Duration
}

// defaultRetireAfter is retire_after.
const defaultRetireAfter = 30 * 24 * time.Hour

// Values of on_copy_failure.
const (
	OnFailureRollback = "rollback"
	OnFailureKeep     = "keep"
	OnFailureLater    = "retry-later"
)

// prepare fills in defaults and checks the options.
func (o *DistributionConfig) prepare(c *Config) (warnings []string, errs []error) {
	switch o.OnCopyFailure {
	case "":
		o.OnCopyFailure = OnFailureRollback
	case OnFailureRollback, OnFailureKeep, OnFailureLater, hclvalue.Unknown:
	default:
		errs = append(errs, fmt.Errorf("on_copy_failure: got %q, want %q, %q or %q",
			o.OnCopyFailure, OnFailureRollback, OnFailureKeep, OnFailureLater))
	}
	if o.BuildID != "" && o.BuildID != hclvalue.Unknown && !tags.IsBuildID(o.BuildID) {
		errs = append(errs, fmt.Errorf("build_id: got %q, want the id that the failed build has printed, such as %q", o.BuildID, "6741f2a3-7c1e-4b0a-9f58-0d5c2f6f7b11"))
	}
	if where, id, elsewhere := strings.Cut(o.SourceAMIFrom, ":"); elsewhere && artifact.IsImageID(id) {
		errs = appendError(errs, region.Check("source_ami_from", where))
	} else if o.SourceAMIFrom != "" && o.SourceAMIFrom != hclvalue.Unknown && !artifact.IsImageID(o.SourceAMIFrom) {
		errs = append(errs, fmt.Errorf("source_ami_from: got %q, want an image such as \"ami-0123456789abcdef0\", or \"eu-central-1:ami-0123456789abcdef0\" for one in another region", o.SourceAMIFrom))
	}
	for _, pair := range []struct {
		a, b string
		both bool
		why  string
	}{
		{"build_id", "source_ami_from", o.BuildID != "" && o.SourceAMIFrom != "", "existing copies are found by name"},
		{"build_id", "skip_create_ami", o.BuildID != "" && c.SkipCreateAMI, "a build without an image cannot be resumed"},
		{"source_ami_from", "skip_create_ami", o.SourceAMIFrom != "" && c.SkipCreateAMI, "there would be nothing to do"},
	} {
		if pair.both {
			errs = append(errs, fmt.Errorf("%s, %s: both are set, want one of them: %s", pair.a, pair.b, pair.why))
		}
	}
	if o.CopyParallelism < 0 {
		errs = append(errs, fmt.Errorf("copy_parallelism: got %d, want a number of copies, or 0 for no limit", o.CopyParallelism))
	}
	if len([]rune(o.ReleaseFamily)) > tags.MostValue {
		errs = append(errs, fmt.Errorf("release_family: got %d characters, want at most %d, as it is the value of a tag", len([]rune(o.ReleaseFamily)), tags.MostValue))
	}
	return nil, append(append(errs, c.checkAccounts()...), o.prepareReleases(c)...)
}

// same reports whether two paths are the same.
func same(a, b string) bool { return filepath.Clean(a) == filepath.Clean(b) }

func (o *DistributionConfig) prepareReleases(c *Config) (errs []error) {
	if o.KeepReleases < 0 {
		errs = append(errs, fmt.Errorf("keep_releases: got %d, want the number of releases to keep, including the new one, or 0 to retire none", o.KeepReleases))
	}
	var err error
	switch days, isDays := strings.CutSuffix(o.RetireAfter, "d"); {
	case o.RetireAfter == "", o.RetireAfter == hclvalue.Unknown:
		o.retireAfter = defaultRetireAfter
	case isDays:
		var n uint64
		n, err = strconv.ParseUint(days, 10, 12)
		o.retireAfter = time.Duration(n) * 24 * time.Hour
	default:
		o.retireAfter, err = time.ParseDuration(o.RetireAfter)
	}
	if err != nil || o.retireAfter < 0 {
		errs = append(errs, fmt.Errorf("retire_after: got %q, want days such as \"30d\", or a duration such as \"12h\"", o.RetireAfter))
	}
	for i, pattern := range o.KeepNamedIn {
		written := c.publishes && same(pattern, c.EthminerCFN.Output) // by this build
		if _, err := filepath.Match(pattern, ""); err != nil {
			errs = append(errs, fmt.Errorf("keep_named_in[%d]: got %q, want a file or a pattern such as \"templates/*.yaml\": %w", i, pattern, err))
		} else if o.KeepReleases > 0 && pattern != hclvalue.Unknown && !written {
			if _, err := retention.InFiles([]string{pattern}); err != nil {
				errs = append(errs, fmt.Errorf("keep_named_in[%d]: got %q, want files that exist and can be read: %w; correct the path, or remove the entry", i, pattern, err))
			}
		}
	}
	if o.KeepReleases == 0 && (o.RetireAfter != "" || len(o.KeepNamedIn) > 0) {
		errs = append(errs, fmt.Errorf("retire_after, keep_named_in: no effect without keep_releases; set keep_releases, or remove them"))
	}
	return errs
}

// NeedsIntermediary reports whether the image of the instance is only temporary.
func (c *Config) NeedsIntermediary() bool {
	return c.AMISkipBuildRegion || c.AMIEncryptBootVolume.True()
}

// ImageRegions returns the regions that get an image, without duplicates. The
// build's region can be in ami_regions too, if a profile or AWS_REGION sets it.
func (c *Config) ImageRegions(build string) []string {
	var regions []string
	if !c.AMISkipBuildRegion {
		regions = append(regions, build)
	}
	for _, region := range c.AMIRegions {
		if region != build && !slices.Contains(regions, region) {
			regions = append(regions, region)
		}
	}
	return regions
}

// Targets returns the configured images, one per region.
func (c *Config) Targets(build string) []distribute.Target {
	var targets []distribute.Target
	for _, region := range c.ImageRegions(build) {
		target := distribute.Target{Region: region, KMSKeyID: c.AMIRegionKMSKeyIDs[region]}
		if region == build && target.KMSKeyID == "" {
			target.KMSKeyID = c.AMIKmsKeyId
		}
		if c.AMIEncryptBootVolume.True() {
			target.Encrypted = aws.Bool(true)
		}
		targets = append(targets, target)
	}
	return targets
}

// SourceFrom parses source_ami_from: an image, optionally with its region.
func (c *Config) SourceFrom(home string) (region, id string) {
	region, id, found := strings.Cut(c.SourceAMIFrom, ":")
	if !found {
		return home, region
	}
	return region, id
}

// IntermediaryName returns the name of the image of the instance if it is only
// temporary. The build's id makes the name unique.
func (c *Config) IntermediaryName() string { return "ethminer-intermediary-" + c.buildID }

// ReplacementName returns the temporary name of an image that will replace one of the
// same name. The build's id makes the name unique.
func (c *Config) ReplacementName() string { return "ethminer-replacement-" + c.buildID }

// RetireGrace returns retire_after.
func (c *Config) RetireGrace() time.Duration { return c.retireAfter }
