// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// EC2's limits for the length of an image name
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html).
const (
	leastAMIName = 3
	mostAMIName  = 128
)

var notInAMIName = lazyregexp.New(`[^a-zA-Z0-9()\[\] ./\-'@_]`)

// prepareAMI checks amazon-ebs's image options. It replaces amazon-ebs's own
// check, which refuses keys of new partitions and images that the account's
// default key makes shareable, and does not name the attribute.
func (c *Config) prepareAMI() (errs []error) {
	errs = append(errs, c.SnapshotTag.CopyOn(&c.SnapshotTags)...)
	errs = append(errs, c.AMITag.CopyOn(&c.AMITags)...)
	errs = append(errs, c.checkAMIName()...)
	errs = append(errs, c.checkImageKeys()...)
	c.AMIRegions = c.copyRegions()
	if c.AMIIMDSSupport != "" && c.AMIIMDSSupport != hclvalue.Unknown && c.AMIIMDSSupport != string(ec2types.ImdsSupportValuesV20) {
		errs = append(errs, fmt.Errorf("imds_support: got %q, want %q; remove it for the source image's setting", c.AMIIMDSSupport, ec2types.ImdsSupportValuesV20))
	}
	if _, err := time.Parse(time.RFC3339, c.DeprecationTime); c.DeprecationTime != "" && err != nil {
		errs = append(errs, fmt.Errorf("deprecate_at: got %q, want a time such as \"2030-01-31T00:00:00Z\"", c.DeprecationTime))
	}
	if n := c.AMISnapshotCopyDurationMinutes; n != nil && (*n < leastCopyMinutes || *n > mostCopyMinutes || *n%leastCopyMinutes != 0) {
		errs = append(errs, fmt.Errorf("snapshot_copy_duration_minutes: got %d, want a multiple of %d from %d to %d", *n, leastCopyMinutes, leastCopyMinutes, mostCopyMinutes))
	}
	c.DeregistrationProtection.Enabled = c.DeregistrationProtection.Enabled || c.DeregistrationProtection.WithCooldown
	return errs
}

// Limits of a time-based copy: 15 minutes to 48 hours, in steps of 15 minutes
// (https://docs.aws.amazon.com/ebs/latest/userguide/time-based-copies.html).
const (
	leastCopyMinutes = 15
	mostCopyMinutes  = 48 * 60
)

func (c *Config) checkAMIName() (errs []error) {
	if n := len(c.AMIName); n < leastAMIName || n > mostAMIName {
		errs = append(errs, fmt.Errorf("ami_name: got %q with %d characters, want %d to %d", c.AMIName, n, leastAMIName, mostAMIName))
	}
	if bad := notInAMIName.FindStringSubmatch(c.AMIName); bad != nil {
		errs = append(errs, fmt.Errorf("ami_name: got %q, which contains %q, want letters, digits, spaces and ( ) [ ] . / - ' @ _; "+
			"the template function clean_resource_name replaces all other characters, as in \"{{isotime | clean_resource_name}}\"", c.AMIName, bad[0]))
	}
	return errs
}

// checkImageKeys checks kms_key_id and region_kms_key_ids.
func (c *Config) checkImageKeys() (errs []error) {
	if (c.AMIKmsKeyId != "" || len(c.AMIRegionKMSKeyIDs) > 0) && !c.AMIEncryptBootVolume.True() {
		errs = append(errs, fmt.Errorf("kms_key_id, region_kms_key_ids: set without encrypt_boot; set encrypt_boot = true, or remove them"))
	}
	errs = appendError(errs, checkKey("kms_key_id", c.AMIKmsKeyId, c.RawRegion))
	for _, name := range slices.Sorted(maps.Keys(c.AMIRegionKMSKeyIDs)) {
		attribute := fmt.Sprintf("region_kms_key_ids[%q]", name)
		if name != c.RawRegion && !slices.Contains(c.AMIRegions, name) {
			errs = append(errs, fmt.Errorf("%s: ami_regions does not contain %s; add the region, or remove the key", attribute, name))
		}
		errs = appendError(errs, checkKey(attribute, c.AMIRegionKMSKeyIDs[name], name))
	}
	for i, name := range c.AMIRegions {
		if _, ok := c.AMIRegionKMSKeyIDs[name]; !ok && len(c.AMIRegionKMSKeyIDs) > 0 && !slices.Contains(c.AMIRegions[:i], name) {
			errs = append(errs, fmt.Errorf("region_kms_key_ids: no key for %s, which is in ami_regions; add one, or \"\" for the region's default key", name))
		}
	}
	return errs
}

// copyRegions returns ami_regions without the build's region and duplicates.
func (c *Config) copyRegions() (regions []string) {
	for _, name := range c.AMIRegions {
		if name != c.RawRegion && !slices.Contains(regions, name) {
			regions = append(regions, name)
		}
	}
	return regions
}

// defaultName returns the default of ami_name, "ethminer-SOURCE-TIME-ATTEMPT",
// and its release family. The attempt keeps sources and builds that start in the
// same second apart.
func (c *Config) defaultName(now time.Time) (name, family string) {
	family = "ethminer"
	if source := cleanName(c.PackerBuildName); source != "" && source != family {
		family += "-" + source
	}
	const mostFamily = mostAMIName - len("-0123456789-01234567")
	if len(family) > mostFamily {
		family = strings.TrimRight(family[:mostFamily], "- ")
	}
	unique := strings.ReplaceAll(c.attempt, "-", "")
	return fmt.Sprintf("%s-%d-%s", family, now.Unix(), unique[len(unique)-8:]), family
}

// cleanName replaces the characters that an image name cannot contain.
func cleanName(text string) string {
	return strings.Trim(notInAMIName.ReplaceAllString(text, "-"), "- ")
}
