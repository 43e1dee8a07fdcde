// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/deadman"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// LifetimeConfig bounds how long an instance may live, whatever becomes of Packer.
type LifetimeConfig struct {
	// When the instance ends itself, counted from its first boot, although
	// Packer was killed or the machine that ran it is gone: a duration such as
	// `90m` or `6h`, from `5m` to `168h`; `0` switches that off. A build that
	// is still provisioning by then loses its instance, so leave it ample room.
	// It needs cloud-init in the source image, and user data that is
	// cloud-init's (or none); the build says so where it cannot be had. Unless
	// `shutdown_behavior` is set, it is then `terminate` instead of
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
	if o.RawMaxBuildTime == unknownValue {
		d, err = defaultMaxBuildTime, nil
	}
	if err != nil || d != 0 && (d < leastMaxBuildTime || d > mostMaxBuildTime) {
		return nil, []error{fmt.Errorf("max_build_time: %q; expected a duration such as \"90m\", from \"5m\" to \"168h\", or \"0\" to switch it off", o.RawMaxBuildTime)}
	}
	o.MaxBuildTime = d
	_, unarmed, err := c.userData()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // amazon-ebs's own check says so
	}
	if err != nil {
		return nil, []error{err}
	}
	if unarmed == "" && d > 0 && c.InstanceInitiatedShutdownBehavior == "" && !c.DisableStopInstance {
		c.InstanceInitiatedShutdownBehavior = string(ec2types.ShutdownBehaviorTerminate)
	}
	return nil, nil
}

// userData returns what the instance gets: the user's own user data, and the
// switch by which it ends itself. It says why there is none, if max_build_time
// asks for one.
func (c *Config) userData() (data []byte, unarmed string, err error) {
	attribute, text := "user_data", c.UserData
	if c.UserDataFile != "" {
		attribute = "user_data_file"
		content, err := os.ReadFile(c.UserDataFile)
		if err != nil {
			return nil, "", fmt.Errorf("user_data_file: %w", err)
		}
		text = string(content)
	}
	// amazon-ebs takes text that is base64 already as it is; so do we.
	own, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		own = []byte(text)
	}
	switch {
	case c.MaxBuildTime == 0:
	case c.Metadata.HttpEndpoint == "disabled":
		unarmed = "metadata_options keep the instance from its user data"
	default:
		data, err := deadman.Arm(c.MaxBuildTime, own)
		if err == nil {
			return data, "", nil
		}
		if !errors.Is(err, deadman.ErrForeign) {
			return nil, "", fmt.Errorf("%s: with the switch of max_build_time %w, though compressed; shorten it, or set max_build_time = \"0\"", attribute, err)
		}
		unarmed = attribute + " is in no format of cloud-init's"
	}
	if err := deadman.Check(own); err != nil {
		return nil, "", fmt.Errorf("%s: %w; shorten it, or compress it if it is cloud-init's", attribute, err)
	}
	return own, unarmed, nil
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
