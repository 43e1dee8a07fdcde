// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"fmt"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// The syntax of AWS identifiers. EC2 refuses some of them only after the image
// is created.
var (
	accountForm  = lazyregexp.New(`^[0-9]{12}$`)
	shortAccount = lazyregexp.New(`^[0-9]{9,11}$`)
	keyIDForm    = lazyregexp.New(`^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f-]{32,36})$`)
	aliasForm    = lazyregexp.New(`^alias/[a-zA-Z0-9:/_-]+$`)
	partition    = lazyregexp.New(`^aws(-[a-z]+)*$`)
	orgForm      = lazyregexp.New(`^organization/o-[a-z0-9]{10,32}$`)
	unitForm     = lazyregexp.New(`^ou/o-[a-z0-9]{10,32}/ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$`)
	roleForm     = lazyregexp.New(`^role/[\x21-\x7E]*[\w+=,.@-]+$`)
	policyForm   = lazyregexp.New(`^policy/[\x21-\x7E]+$`)
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
	parameterForm = lazyregexp.New(`^/?[a-zA-Z0-9_.-]+(/[a-zA-Z0-9_.-]+){0,14}$`)
	anyResource   = lazyregexp.New(`.`)
	iamNameForm   = lazyregexp.New(`^[\w+=,.@-]{1,128}$`)
)

// arn is an Amazon Resource Name
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html).
type arn struct{ partition, service, region, account, resource string }

func parseARN(text string) (a arn, ok bool) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return arn{}, false
	}
	a = arn{parts[1], parts[2], parts[3], parts[4], parts[5]}
	return a, partition.MatchString(a.partition)
}

// checkARN refuses text that is not the ARN of a service's resource.
func checkARN(attribute, text, service string, resource lazyregexp.Regexp, example string) error {
	a, ok := parseARN(text)
	if text == hclvalue.Unknown || ok && a.service == service && (a.account == "aws" || accountForm.MatchString(a.account)) && resource.MatchString(a.resource) {
		return nil
	}
	return fmt.Errorf("%s: got %q, want an ARN such as %q", attribute, text, example)
}

// checkAccount refuses text that is not an account id.
func checkAccount(attribute, id string) error {
	switch {
	case id == hclvalue.Unknown, accountForm.MatchString(id):
		return nil
	case id == "":
		return fmt.Errorf("%s: got \"\", want an account id of 12 digits; omit the entry if its variable is empty", attribute)
	case shortAccount.MatchString(id):
		return fmt.Errorf("%s: got %q, want an account id of 12 digits; quote it, as a number loses its leading zeros (%012s)", attribute, id, id)
	}
	return fmt.Errorf("%s: got %q, want an account id of 12 digits, such as \"012345678901\"", attribute, id)
}

// checkGroup refuses any group other than "all", the only one in EC2.
func checkGroup(attribute, name string) error {
	if name == hclvalue.Unknown || name == "all" {
		return nil
	}
	return fmt.Errorf("%s: got %q, want \"all\", the only group that EC2 has", attribute, name)
}

// checkKey refuses text that is not a KMS key, and a key of another region. An
// empty region is not known yet.
func checkKey(attribute, key, where string) error {
	a, isARN := parseARN(key)
	switch {
	case key == "", key == hclvalue.Unknown, !isARN && (keyIDForm.MatchString(key) || aliasForm.MatchString(key)):
		return nil
	case !isARN || a.service != "kms" || !region.HasSyntax(a.region) || !accountForm.MatchString(a.account) ||
		!aliasForm.MatchString(a.resource) && !keyIDForm.MatchString(strings.TrimPrefix(a.resource, "key/")):
		return fmt.Errorf("%s: got %q, want the id or ARN of a KMS key, or an alias such as \"alias/mine\"", attribute, key)
	case where != "" && a.region != where:
		return fmt.Errorf("%s: got %q, want a key in %s; EC2 encrypts with keys of the same region only", attribute, key, where)
	}
	return nil
}

// checkIDs refuses ids, ARNs and names with a wrong syntax.
func (c *Config) checkIDs() (errs []error) {
	list := func(attribute string, values []string, check func(attribute, value string) error) {
		for i, value := range values {
			errs = appendError(errs, check(fmt.Sprintf("%s[%d]", attribute, i), value))
		}
	}
	list("ami_users", c.AMIUsers, checkAccount)
	list("snapshot_users", c.SnapshotUsers, checkAccount)
	list("ami_groups", c.AMIGroups, checkGroup)
	list("snapshot_groups", c.SnapshotGroups, checkGroup)
	list("ami_org_arns", c.AMIOrgArns, func(attribute, value string) error {
		return checkARN(attribute, value, "organizations", orgForm, "arn:aws:organizations::111122223333:organization/o-abcdefghij")
	})
	list("ami_ou_arns", c.AMIOuArns, func(attribute, value string) error {
		return checkARN(attribute, value, "organizations", unitForm, "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678")
	})
	list("assume_role.policy_arns", c.AssumeRole.AssumeRolePolicyARNs, func(attribute, value string) error {
		return checkARN(attribute, value, "iam", policyForm, "arn:aws:iam::111122223333:policy/baker")
	})
	if role := c.AssumeRole.AssumeRoleARN; role != "" {
		errs = appendError(errs, checkARN("assume_role.role_arn", role, "iam", roleForm, "arn:aws:iam::111122223333:role/baker"))
	}
	if group := c.CapacityReservationGroupArn; group != "" {
		errs = appendError(errs, checkARN("capacity_reservation_group_arn", group, "resource-groups", anyResource, "arn:aws:resource-groups:us-east-1:111122223333:group/mine"))
	}
	if group := c.Placement.HostResourceGroupArn; group != "" {
		errs = appendError(errs, checkARN("placement.host_resource_group_arn", group, "resource-groups", anyResource, "arn:aws:resource-groups:us-east-1:111122223333:group/mine"))
	}
	if name := c.IamInstanceProfile; name != "" && name != hclvalue.Unknown && !iamNameForm.MatchString(name) {
		if a, isARN := parseARN(name); isARN {
			name = a.resource[strings.LastIndex(a.resource, "/")+1:]
			errs = append(errs, fmt.Errorf("iam_instance_profile: got %q, want the name of the profile, %q", c.IamInstanceProfile, name))
		} else {
			errs = append(errs, fmt.Errorf("iam_instance_profile: got %q, want the name of an instance profile: letters, digits and + = , . @ _ -", name))
		}
	}
	for _, id := range []struct{ attribute, value, prefix string }{
		{"source_ami", c.SourceAmi, "ami-"}, {"vpc_id", c.VpcId, "vpc-"}, {"subnet_id", c.SubnetId, "subnet-"},
		{"security_group_id", c.SecurityGroupId, "sg-"}, {"capacity_reservation_id", c.CapacityReservationId, "cr-"},
		{"placement.host_id", c.Placement.HostId, "h-"},
	} {
		errs = appendError(errs, checkPrefix(id.attribute, id.value, id.prefix))
	}
	list("subnet_ids", c.SubnetIds, func(attribute, value string) error { return checkPrefix(attribute, value, "subnet-") })
	list("security_group_ids", c.SecurityGroupIds, func(attribute, value string) error { return checkPrefix(attribute, value, "sg-") })
	return errs
}

// checkPrefix refuses the id of another kind of resource, or a name.
func checkPrefix(attribute, id, prefix string) error {
	if id == "" || id == hclvalue.Unknown || strings.HasPrefix(id, prefix) {
		return nil
	}
	return fmt.Errorf("%s: got %q, want an id such as \"%s0123456789abcdef0\"", attribute, id, prefix)
}
