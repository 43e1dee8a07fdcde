// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2api

import (
	"errors"

	"github.com/aws/smithy-go"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// IsUnauthorized says that the credentials are good, and do not allow the call.
func IsUnauthorized(err error) bool {
	switch Code(err) {
	case "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "UnauthorizedException":
		return true
	}
	return false
}

// IsBadCredentials says that AWS does not take the credentials at all. EC2 says
// AuthFailure also in a region that the account has not opted in to.
func IsBadCredentials(err error) bool {
	switch Code(err) {
	case "AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException",
		"ExpiredToken", "ExpiredTokenException", "RequestExpired", "OptInRequired":
		return true
	}
	return false
}

// IsDryRunPassed says that a call with DryRun would have been allowed.
func IsDryRunPassed(err error) bool { return Code(err) == "DryRunOperation" }

// Refused is what AWS says of a refused permission.
type Refused struct {
	Action   string // such as ec2:CreateTags, which may differ from the call's
	Resource string // an ARN, empty where AWS names none
	Reason   string // such as "because no identity-based policy allows the ec2:CreateTags action"
}

// refused reads the message that AWS gives since 2022
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html).
var refused = lazyregexp.New(`not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z0-9]+)(?: on resource: (\S+))?(?: ((?:because|with an explicit deny)[^.]*))?`)

// RefusedBy reads what is missing from an error; empty where AWS does not say.
func RefusedBy(err error) Refused {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return Refused{}
	}
	m := refused.FindStringSubmatch(api.ErrorMessage())
	if m == nil {
		return Refused{}
	}
	return Refused{Action: m[1], Resource: m[2], Reason: m[3]}
}
