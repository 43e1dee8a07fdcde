// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// releaseTail matches the part of a name that differs between releases: a time,
// a date or a version.
var releaseTail = lazyregexp.New(`[-_. /]*v?[0-9][-_.:0-9TZ]*$`)

// Family returns the name that all releases of an image share.
func (c *Config) Family() string {
	if c.ReleaseFamily != "" {
		return c.ReleaseFamily
	}
	if c.defaultFamily != "" {
		return c.defaultFamily
	}
	if family := releaseTail.ReplaceAllString(c.AMIName, ""); family != "" {
		return family
	}
	return c.AMIName
}

// checkTags refuses tags that EC2 would refuse, some only after the image is
// created. It checks only texts without template data.
func (c *Config) checkTags() (warnings []string, errs []error) {
	for _, option := range []struct {
		attribute string
		tags      map[string]string
	}{
		{"tags", c.AMITags}, {"snapshot_tags", c.SnapshotTags}, {"run_tags", c.RunTags}, {"run_volume_tags", c.VolumeRunTags}, {"spot_tags", c.SpotTags}, {"fleet_tags", c.FleetTags},
	} {
		for _, key := range slices.Sorted(maps.Keys(option.tags)) {
			switch value := option.tags[key]; {
			case strings.Contains(key+value, "{{"):
			case strings.HasPrefix(strings.ToLower(key), "aws:"):
				errs = append(errs, fmt.Errorf("%s: the key %q begins with \"aws:\", which is reserved for AWS; choose another key", option.attribute, key))
			case key == "" || len([]rune(key)) > tags.MostKey:
				errs = append(errs, fmt.Errorf("%s: the key %q has %d characters, want 1 to %d", option.attribute, key, len([]rune(key)), tags.MostKey))
			case len([]rune(value)) > tags.MostValue:
				errs = append(errs, fmt.Errorf("%s: the value of %q has %d characters, want at most %d", option.attribute, key, len([]rune(value)), tags.MostValue))
			}
		}
	}
	all := tags.Overlay(c.AMITags, c.SnapshotTags, c.ImageLifetimeTags(time.Now()))
	if !c.SkipAMIRunTags {
		all = tags.Overlay(c.RunTags, all)
	}
	if len(all) > tags.MostTags {
		warnings = append(warnings, fmt.Sprintf("tags: got %d with snapshot_tags, run_tags and the builder's own, want at most %d per resource; "+
			"remove some, or set skip_ami_run_tags", len(all), tags.MostTags))
	}
	return warnings, errs
}
