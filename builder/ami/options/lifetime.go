// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package options

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/deadman"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// LifetimeConfig limits the lifetime of an instance, even if Packer dies.
type LifetimeConfig struct {
	// The time after its first boot at which the instance shuts itself down, even
	// if Packer was killed or its machine is gone: a duration such as `90m` or
	// `6h`, from `5m` to `168h`; `0` disables this. A build that is still
	// provisioning then loses its instance, so choose a generous value. Requires
	// cloud-init in the source image, and user data in a cloud-init format (or
	// none); the build reports if auto-termination is not available. The default
	// of `shutdown_behavior` changes to `terminate` (amazon-ebs: `stop`), except
	// with `disable_stop_instance`. Default `6h`.
	RawMaxBuildTime string `mapstructure:"max_build_time" required:"false"`

	// MaxBuildTime is RawMaxBuildTime, parsed; 0 if disabled.
	MaxBuildTime time.Duration `mapstructure-to-hcl2:",skip"`
}

// Limits of max_build_time. Building a driver and a miner takes more than the
// minimum; no image takes a week.
const (
	defaultMaxBuildTime = 6 * time.Hour
	leastMaxBuildTime   = 5 * time.Minute
	mostMaxBuildTime    = 7 * 24 * time.Hour
)

// The time after max_build_time before `sweep` treats resources as leftovers of
// a dead build.
const (
	expiryGrace   = time.Hour
	expiryDefault = 24 * time.Hour // if max_build_time is 0, and for images, which are yet to be copied
)

// prepare fills in defaults and checks the options.
func (o *LifetimeConfig) prepare(c *Config) (warnings []string, errs []error) {
	if o.RawMaxBuildTime == "" {
		o.RawMaxBuildTime = defaultMaxBuildTime.String()
	}
	d, err := time.ParseDuration(o.RawMaxBuildTime)
	if o.RawMaxBuildTime == hclvalue.Unknown {
		d, err = defaultMaxBuildTime, nil
	}
	if err != nil || d != 0 && (d < leastMaxBuildTime || d > mostMaxBuildTime) {
		return nil, []error{fmt.Errorf("max_build_time: got %q, want a duration such as \"90m\", from \"5m\" to \"168h\", or \"0\" to disable it", o.RawMaxBuildTime)}
	}
	o.MaxBuildTime = d
	_, unarmed, err := c.ArmedUserData()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // amazon-ebs's own check reports it
	}
	if err != nil {
		return nil, []error{err}
	}
	if unarmed == "" && d > 0 && c.InstanceInitiatedShutdownBehavior == "" && !c.DisableStopInstance {
		c.InstanceInitiatedShutdownBehavior = string(ec2types.ShutdownBehaviorTerminate)
	}
	return nil, nil
}

// ArmedUserData returns the instance's user data: the user's own and the
// auto-termination of max_build_time. unarmed is the reason if max_build_time is
// set but auto-termination is not available.
func (c *Config) ArmedUserData() (data []byte, unarmed string, err error) {
	attribute, text := "user_data", c.UserData
	if c.UserDataFile != "" {
		attribute = "user_data_file"
		content, err := os.ReadFile(c.UserDataFile)
		if err != nil {
			return nil, "", fmt.Errorf("user_data_file: %w", err)
		}
		text = string(content)
	}
	// As in amazon-ebs, text that is base64 already is used as is.
	own, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		own = []byte(text)
	}
	switch {
	case c.MaxBuildTime == 0:
	case c.Metadata.HttpEndpoint == "disabled":
		unarmed = "metadata_options disables the metadata service, so the instance cannot read its user data"
	default:
		data, err := deadman.Arm(c.MaxBuildTime, own)
		if err == nil {
			return data, "", nil
		}
		if !errors.Is(err, deadman.ErrForeign) {
			return nil, "", fmt.Errorf("%s: with the auto-termination of max_build_time %w, after compression; shorten it, or set max_build_time = \"0\"", attribute, err)
		}
		unarmed = attribute + " is not in a cloud-init format"
	}
	if err := deadman.Check(own); err != nil {
		return nil, "", fmt.Errorf("%s: %w; shorten it, or compress it if it is cloud-init user data", attribute, err)
	}
	return own, unarmed, nil
}

// copyEstimate is how long the copies to other regions may take: a large image takes
// an hour to reach a far region.
const copyEstimate = time.Hour

// LatestEnd returns when a build that begins now may end at the latest, and why.
// Without max_build_time, its default is the estimate. launches is false for a build
// that only copies.
func (c *Config) LatestEnd(now time.Time, home string, launches bool) (at time.Time, why string) {
	var parts []string
	add := func(d time.Duration, what string) {
		now = now.Add(d)
		parts = append(parts, strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(d.String())+" for "+what)
	}
	if launches {
		add(cmp.Or(c.MaxBuildTime, defaultMaxBuildTime), "the instance (max_build_time)")
	}
	if len(c.ImageRegions(home)) > 1 || !launches {
		minutes := time.Duration(aws.ToInt64(c.AMISnapshotCopyDurationMinutes)) * time.Minute
		add(cmp.Or(minutes, copyEstimate), "the copies")
	} else if c.LaunchTest != nil { // else it runs while the image is copied
		add(c.LaunchTest.timeout, "the launch test")
	}
	return now, strings.Join(parts, " and ")
}

// LifetimeTags returns the tags of resources that live as long as the instance.
// They tell a later sweep when the resources have expired.
func (c *Config) LifetimeTags(now time.Time) map[string]string {
	life := expiryDefault
	if c.MaxBuildTime > 0 {
		life = c.MaxBuildTime + expiryGrace
	}
	return map[string]string{tags.BuildID: c.buildID, tags.Expires: tags.Stamp(now.Add(life))}
}

// ImageLifetimeTags returns the tags of images and snapshots until their release.
func (c *Config) ImageLifetimeTags(now time.Time) map[string]string {
	life := expiryDefault + time.Duration(aws.ToInt64(c.AMISnapshotCopyDurationMinutes))*time.Minute
	return map[string]string{tags.BuildID: c.buildID, tags.State: tags.Building, tags.Expires: tags.Stamp(now.Add(life))}
}
