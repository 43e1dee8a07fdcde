// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package iam lets a rehearsal's caller do only what a policy allows, and
// refuses the rest as AWS does.
package iam

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Caller is who calls, and what that one may.
type Caller struct {
	ARN    string
	Policy *policy.Document // nil allows everything
}

// Check returns the error of a call that the policy does not allow. A call may
// need several actions: all of them are looked at, and the first that is
// missing is named.
func (c Caller) Check(service, action string, p query.Params) error {
	if c.Policy == nil {
		return nil
	}
	for _, needed := range Actions(service, action, p) {
		var reason string
		switch c.Policy.Decide(needed) {
		case policy.Allowed:
			continue
		case policy.Denied:
			reason = "with an explicit deny in an identity-based policy"
		default:
			reason = fmt.Sprintf("because no identity-based policy allows the %s action", needed)
		}
		message := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: * %s", c.ARN, needed, reason)
		if service == "ec2" {
			return &query.Error{Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation. " + message, Status: 403}
		}
		if jsonServices[service] {
			return &query.Error{Code: "AccessDeniedException", Message: message, Status: 400}
		}
		return &query.Error{Code: "AccessDenied", Message: message, Status: 403}
	}
	return nil
}

// jsonServices say AccessDeniedException where the older protocols say
// AccessDenied.
var jsonServices = map[string]bool{"kms": true, "pricing": true, "servicequotas": true, "ssm": true}

// Actions are those that AWS asks IAM for when a call is made, by the service's
// name in signatures
// (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
// and its neighbours).
func Actions(service, action string, p query.Params) []string {
	if service == "sts" && action == "GetCallerIdentity" {
		return nil // needs no permission
	}
	if service == "s3" {
		return actionsOfS3(action, p)
	}
	prefix := service
	if service == "monitoring" {
		prefix = "cloudwatch"
	}
	needed := []string{prefix + ":" + action}
	if service == "cloudformation" && p.Get("AdministrationRoleARN") != "" {
		needed = append(needed, "iam:PassRole")
	}
	if service != "ec2" {
		return needed
	}
	if len(p.Items("TagSpecification")) > 0 && action != "CreateTags" {
		needed = append(needed, "ec2:CreateTags")
	}
	if profile := p.Get("IamInstanceProfile.Name") + p.Get("IamInstanceProfile.Arn"); profile != "" && action == "RunInstances" {
		needed = append(needed, "iam:PassRole")
	}
	return needed
}
