// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// LifetimeConfig bounds how long an instance may live, whatever becomes of Packer.
type LifetimeConfig struct {
	// When the instance ends itself, counted from its first boot, although
	// Packer was killed or the machine that ran it is gone: a duration such as
	// `90m` or `6h`, from `5m` to `168h`; `0` switches that off. A build that
	// is still provisioning by then loses its instance, so leave it ample room.
	// Unless `shutdown_behavior` is set, it is then `terminate` instead of
	// amazon-ebs's `stop`, except with `disable_stop_instance`. Default `6h`.
	RawMaxBuildTime string `mapstructure:"max_build_time" required:"false"`

	// MaxBuildTime is what RawMaxBuildTime says, 0 where it is switched off.
	MaxBuildTime time.Duration `mapstructure-to-hcl2:",skip"`
}

// Bounds of max_build_time. A driver and a miner take longer than the least to
// build; a week is longer than any image takes.
const (
	defaultMaxBuildTime = 6 * time.Hour
	leastMaxBuildTime   = 5 * time.Minute
	mostMaxBuildTime    = 7 * 24 * time.Hour
)

// How long resources outlive what bounds the build, before `sweep` takes them
// for a dead one's.
const (
	expiryGrace   = time.Hour
	expiryDefault = 24 * time.Hour // where max_build_time is 0, and for images, which have yet to reach their regions
)

// prepare fills in defaults and checks the options.
func (o *LifetimeConfig) prepare(c *Config) (warnings []string, errs []error) {
	if o.RawMaxBuildTime == "" {
		o.RawMaxBuildTime = defaultMaxBuildTime.String()
	}
	d, err := time.ParseDuration(o.RawMaxBuildTime)
	if err != nil || d != 0 && (d < leastMaxBuildTime || d > mostMaxBuildTime) {
		return nil, []error{fmt.Errorf("max_build_time: %q; expected a duration such as \"90m\", from \"5m\" to \"168h\", or \"0\" to switch it off", o.RawMaxBuildTime)}
	}
	o.MaxBuildTime = d
	return nil, nil
}

// lifetimeTags are those of what lives as long as the instance, by which a
// later run knows that nobody needs it any more.
func (c *Config) lifetimeTags(now time.Time) map[string]string {
	life := expiryDefault
	if c.MaxBuildTime > 0 {
		life = c.MaxBuildTime + expiryGrace
	}
	return map[string]string{tags.BuildID: c.buildID, tags.Expires: tags.Stamp(now.Add(life))}
}

// imageLifetimeTags are those of images and snapshots until the build is good.
func (c *Config) imageLifetimeTags(now time.Time) map[string]string {
	life := expiryDefault + time.Duration(aws.ToInt64(c.AMISnapshotCopyDurationMinutes))*time.Minute
	return map[string]string{tags.BuildID: c.buildID, tags.State: tags.Building, tags.Expires: tags.Stamp(now.Add(life))}
}
