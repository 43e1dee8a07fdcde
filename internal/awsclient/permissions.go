// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"errors"

	"github.com/aws/smithy-go"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// IsUnauthorized reports whether valid credentials do not allow the request.
func IsUnauthorized(err error) bool {
	switch Code(err) {
	case "UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "UnauthorizedException":
		return true
	}
	return false
}

// IsBadCredentials reports whether AWS rejects the credentials. EC2 also returns
// AuthFailure in a region that the account has not opted in to.
func IsBadCredentials(err error) bool {
	switch Code(err) {
	case "AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException",
		"ExpiredToken", "ExpiredTokenException", "RequestExpired", "OptInRequired":
		return true
	}
	return false
}

// IsDryRunPassed reports whether a dry run succeeded.
func IsDryRunPassed(err error) bool { return Code(err) == "DryRunOperation" }

// Refused is AWS's description of a denied permission.
type Refused struct {
	Action   string // such as ec2:CreateTags; may differ from the request's action
	Resource string // an ARN; empty if AWS returns none
	Reason   string // such as "because no identity-based policy allows the ec2:CreateTags action"
}

// refused matches AWS's message format since 2022
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html).
var refused = lazyregexp.New(`not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z0-9]+)(?: on resource: (\S+))?(?: ((?:because|with an explicit deny)[^.]*))?`)

// RefusedBy parses the missing permission from an error; empty if AWS does not
// return it.
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
