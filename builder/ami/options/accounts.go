// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type AccountConfig

package options

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// AccountConfig is another account that gets its own copies of the image.
type AccountConfig struct {
	// The id of the account: 12 digits, as a string.
	ID string `mapstructure:"id" required:"true"`
	// The ARN of a role in that account, which copies the image. The build assumes
	// it with its own credentials. [IAM policies](https://github.com/eth-mining/packer-plugin-ethminer/blob/main/docs/iam.md#copies-in-other-accounts)
	// has its minimum policy.
	RoleARN string `mapstructure:"role_arn" required:"true"`
	// The external ID that the trust policy of the role requires. Not set by default.
	ExternalID string `mapstructure:"external_id" required:"false"`
	// The regions of the build in which the account gets a copy. Default: all.
	Regions []string `mapstructure:"regions" required:"false"`
	// The KMS keys that encrypt the copies, by region: keys of the account, as ids,
	// ARNs or aliases. Default: a copy is encrypted if the image is, or if the
	// account encrypts by default, with the default key of the account.
	KMSKeyIDs map[string]string `mapstructure:"kms_key_ids" required:"false"`
	// Tags of the copies and their snapshots, in addition to those of the image.
	// None by default.
	Tags map[string]string `mapstructure:"tags" required:"false"`
	// The name of an SSM parameter with the data type `aws:ec2:image`, which the
	// build sets to the copy in each region of the account, once all images are
	// complete. Not set by default.
	SSMParameter string `mapstructure:"ssm_parameter" required:"false"`
}

// roleSession is the name of the sessions of roles in other accounts, as CloudTrail
// shows it.
const roleSession = "packer-ethminer"

// Role returns the role to assume.
func (a AccountConfig) Role() awsclient.Role {
	return awsclient.Role{ARN: a.RoleARN, ExternalID: a.ExternalID, Session: roleSession}
}

// RegionsOf returns the regions in which an account gets a copy.
func (c *Config) RegionsOf(a AccountConfig, home string) []string {
	if len(a.Regions) == 0 {
		return c.ImageRegions(home)
	}
	return slices.Compact(slices.Sorted(slices.Values(a.Regions)))
}

// AccountTargets returns the copies of an account, one per region.
func (c *Config) AccountTargets(a AccountConfig, home string) (targets []distribute.Target) {
	for _, name := range c.RegionsOf(a, home) {
		target := distribute.Target{Region: name, Name: c.AMIName, KMSKeyID: a.KMSKeyIDs[name]}
		if target.KMSKeyID != "" {
			target.Encrypted = aws.Bool(true)
		}
		targets = append(targets, target)
	}
	return targets
}

// checkAccounts checks ami_accounts.
func (c *Config) checkAccounts() (errs []error) {
	for _, pair := range []struct {
		other string
		set   bool
		why   string
	}{
		{"source_ami_from", c.SourceAMIFrom != "", "the build never shares an image that it has not created"},
		{"skip_create_ami", c.SkipCreateAMI, "there would be no image to copy"},
	} {
		if pair.set && len(c.AMIAccounts) > 0 {
			errs = append(errs, fmt.Errorf("ami_accounts, %s: both are set, want one of them: %s", pair.other, pair.why))
		}
	}
	for i, a := range c.AMIAccounts {
		attribute := fmt.Sprintf("ami_accounts[%d].", i)
		errs = appendError(errs, checkAccount(attribute+"id", a.ID))
		errs = appendError(errs, checkARN(attribute+"role_arn", a.RoleARN, "iam", roleForm, "arn:aws:iam::222233334444:role/packer"))
		if role, ok := parseARN(a.RoleARN); ok && accountForm.MatchString(a.ID) && role.account != a.ID {
			errs = append(errs, fmt.Errorf("%srole_arn: got %q, want a role of account %s (%sid)", attribute, a.RoleARN, a.ID, attribute))
		}
		if j := slices.IndexFunc(c.AMIAccounts, func(b AccountConfig) bool { return b.ID == a.ID }); j < i && a.ID != hclvalue.Unknown {
			errs = append(errs, fmt.Errorf("%sid: got %q, which is also ami_accounts[%d].id, want each account once", attribute, a.ID, j))
		}
		for _, option := range []struct {
			name     string
			accounts []string
		}{{"ami_users", c.AMIUsers}, {"snapshot_users", c.SnapshotUsers}} {
			if slices.Contains(option.accounts, a.ID) && a.ID != hclvalue.Unknown {
				errs = append(errs, fmt.Errorf("%sid: got %q, which is also in %s; remove it from one of them, as the build revokes the permissions of ami_accounts after the copy", attribute, a.ID, option.name))
			}
		}
		if a.Regions != nil && len(a.Regions) == 0 {
			errs = append(errs, fmt.Errorf("%sregions: got an empty list, want regions of the build; remove the attribute for all of them", attribute))
		}
		for j, name := range a.Regions {
			errs = appendError(errs, c.checkOwnRegion(fmt.Sprintf("%sregions[%d]", attribute, j), name))
		}
		for _, name := range slices.Sorted(maps.Keys(a.KMSKeyIDs)) {
			key := fmt.Sprintf("%skms_key_ids[%q]", attribute, name)
			errs = appendError(errs, c.checkOwnRegion(key, name))
			errs = appendError(errs, checkKey(key, a.KMSKeyIDs[name], name))
			if given, isARN := parseARN(a.KMSKeyIDs[name]); isARN && accountForm.MatchString(a.ID) && given.account != a.ID {
				errs = append(errs, fmt.Errorf("%s: got %q, want a key of account %s", key, a.KMSKeyIDs[name], a.ID))
			}
		}
		if name := a.SSMParameter; name != "" && name != hclvalue.Unknown && !parameterForm.MatchString(name) {
			errs = append(errs, fmt.Errorf("%sssm_parameter: got %q, want a name such as \"/ethminer/ami\"", attribute, name))
		}
	}
	return errs
}

// checkOwnRegion refuses a region that gets no image of the build.
func (c *Config) checkOwnRegion(attribute, name string) error {
	if err := region.Check(attribute, name); err != nil || name == hclvalue.Unknown || c.RawRegion == "" {
		return err
	}
	if own := c.ImageRegions(c.RawRegion); !slices.Contains(own, name) && !slices.Contains(own, hclvalue.Unknown) {
		return fmt.Errorf("%s: got %q, want a region of the build (%s); add it to ami_regions, or remove it here", attribute, name, strings.Join(own, ", "))
	}
	return nil
}

// RoleNeeds returns the IAM needs of an account's role.
func (c *Config) RoleNeeds(a AccountConfig) policy.RoleNeeds {
	return policy.RoleNeeds{
		ModifyImage: c.AMIIMDSSupport != "",
		Deprecate:   !c.DeprecateAt().IsZero(),
		Keys:        len(a.KMSKeyIDs) > 0 || c.AMIEncryptBootVolume.True() || c.EncryptedVolume() != "",
		Parameter:   a.SSMParameter != "",
	}
}

// grantees returns the roles that may get grants: those of ami_accounts, if a key of the
// user encrypts the image.
func (c *Config) grantees() (roles []string) {
	if !c.namesKey() {
		return nil
	}
	for _, a := range c.AMIAccounts {
		roles = append(roles, a.RoleARN)
	}
	return roles
}
