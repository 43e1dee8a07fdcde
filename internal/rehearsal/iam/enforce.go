// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package iam simulates IAM in a rehearsal: the account's roles and instance profiles
// (Service), and the evaluation of the caller's policy for each call (Caller).
package iam

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Caller is the caller and its policy.
type Caller struct {
	ARN    string
	Policy *policy.Document // nil allows everything
}

// Check returns the error of a call that the policy does not allow. A call may require
// several actions; the error names the first one that is not allowed. resources returns
// the condition keys of an action's resources; nil if the service has none.
func (c Caller) Check(service, action string, p query.Params, resources func(needed string) []policy.Keys) error {
	if c.Policy == nil {
		return nil
	}
	for _, needed := range Actions(service, action, p) {
		var reason string
		var on []policy.Keys
		if resources != nil {
			on = resources(needed)
		}
		switch c.Policy.Decide(needed, on...) {
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

// jsonServices are the services that return AccessDeniedException. The older protocols
// return AccessDenied.
var jsonServices = map[string]bool{"ec2-instance-connect": true, "kms": true, "pricing": true, "servicequotas": true, "ssm": true}

// additionalActions returns the actions that an IAM call requires besides its own.
func additionalActions(action string, p query.Params) []string {
	switch {
	case action == "CreateRole" && p.Has("Tags"):
		return []string{"iam:TagRole"}
	case action == "CreateInstanceProfile" && p.Has("Tags"):
		return []string{"iam:TagInstanceProfile"}
	case action == "AddRoleToInstanceProfile":
		return []string{"iam:PassRole"}
	}
	return nil
}

// Actions returns the IAM actions that AWS checks for a call; service is the service's
// name in signatures
// (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
// and the pages of the other services).
func Actions(service, action string, p query.Params) []string {
	if service == "sts" && action == "GetCallerIdentity" {
		return nil // requires no permission
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
	if service == "iam" {
		return append(needed, additionalActions(action, p)...)
	}
	if service != "ec2" {
		return needed
	}
	if len(p.Items("TagSpecification")) > 0 && action != "CreateTags" {
		needed = append(needed, "ec2:CreateTags")
	}
	if profile := p.Get("IamInstanceProfile.Name") + p.Get("IamInstanceProfile.Arn"); profile != "" && (action == "RunInstances" || action == "CreateFleet") {
		needed = append(needed, "iam:PassRole")
	}
	if action == "CreateFleet" { // a fleet of type instant launches with the caller's permissions
		needed = append(needed, "ec2:RunInstances")
	}
	return needed
}
