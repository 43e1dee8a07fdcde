// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Code returns the error code of an AWS response; empty if err is not from AWS
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html).
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// IsNotFound reports whether the resource does not exist, or is not found yet: EC2
// and IAM are eventually consistent after a creation.
func IsNotFound(err error) bool {
	code := Code(err)
	return strings.HasSuffix(code, ".NotFound") || code == "NoSuchEntity" || IsNoTemplate(err)
}

// IsNoTemplate reports whether EC2 does not find a launch template.
func IsNoTemplate(err error) bool {
	switch Code(err) {
	case "InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.VersionNotFound", "InvalidLaunchTemplateName.NotFoundException":
		return true
	}
	return false
}

// IsThrottle reports whether AWS throttles requests.
func IsThrottle(err error) bool {
	switch Code(err) {
	case "RequestLimitExceeded", "Throttling", "ThrottlingException", "SlowDown":
		return true
	}
	return false
}

// IsTransient reports whether the same request may succeed later: AWS throttles,
// a concurrency limit is reached, AWS has an internal error, or the response was
// lost.
func IsTransient(err error) bool {
	switch {
	case err == nil, IsLaunchRefusal(err), GaveUp(err):
		return false
	case IsThrottle(err):
		return true
	}
	switch Code(err) {
	case "ResourceLimitExceeded", "RequestTimeout", "ConcurrentModification", "EntityTemporarilyUnmodifiable":
		return true
	}
	var cut *smithy.DeserializationError
	var answer *smithyhttp.ResponseError
	return errors.As(err, &cut) && Code(err) == "" || errors.As(err, &answer) && answer.HTTPStatusCode() >= 500
}

// IsBadRequest reports whether AWS refuses the request itself, so that retries
// fail too.
func IsBadRequest(err error) bool {
	var answer *smithyhttp.ResponseError
	return errors.As(err, &answer) && answer.HTTPStatusCode() >= 400 && answer.HTTPStatusCode() < 500 && !IsTransient(err)
}

// IsIncomplete reports whether the request lacks a required parameter, such as a
// subnet if the region has no default VPC.
func IsIncomplete(err error) bool {
	switch Code(err) {
	case "VPCIdNotSpecified", "DefaultVpcDoesNotExist", "MissingInput", "MissingParameter":
		return true
	}
	return false
}

// IsBadParameter reports whether EC2 refuses a parameter's value or a combination
// of parameters.
func IsBadParameter(err error) bool {
	switch Code(err) {
	case "InvalidParameter", "InvalidParameterValue", "InvalidParameterCombination", "InvalidParameterDependency", "InvalidBlockDeviceMapping",
		"InvalidKMSKey.InvalidState", "UnknownVolumeType.Unknown", "UnknownParameter", "TagLimitExceeded", "InvalidTagKey.Malformed", "InvalidUserData.Malformed":
		return !IsNewProfileUnknown(err)
	}
	return false
}

// IsOfImage reports whether a request fails because of its image: it does not
// exist, its owner does not share its snapshots, or the name is in use.
func IsOfImage(err error) bool {
	code := Code(err)
	return code == "InvalidRequest" || strings.HasPrefix(code, "InvalidAMI")
}

// IsNameInUse reports whether an image of the account has the name, or had it until
// recently.
func IsNameInUse(err error) bool { return Code(err) == "InvalidAMIName.Duplicate" }

// IsLaunchRefusal reports whether EC2 refuses this type, place or market, while
// another launch attempt may succeed.
func IsLaunchRefusal(err error) bool {
	return IsNoCapacity(err) || IsOverQuota(err) || IsNotOffered(err) || IsPriceTooLow(err) || IsWithoutSpotRole(err)
}

// IsWithoutSpotRole reports whether the account lacks EC2's service-linked role for
// spot instances, and the caller is not allowed to create it
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html).
func IsWithoutSpotRole(err error) bool {
	return Code(err) == "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
}

// IsNoCapacity reports whether EC2, the subnet or the reservation currently has no
// capacity.
func IsNoCapacity(err error) bool {
	switch Code(err) {
	case "InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacityOnHost", "InsufficientReservedInstanceCapacity",
		"ReservationCapacityExceeded", "InsufficientFreeAddressesInSubnet", "InsufficientVolumeCapacity", "UnfulfillableCapacity":
		return true
	}
	return false
}

// IsOverQuota reports whether the launch exceeds a quota in the region.
func IsOverQuota(err error) bool {
	switch Code(err) {
	case "InstanceLimitExceeded", "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded":
		return true
	}
	return false
}

// IsNotOffered reports whether EC2 does not offer the type or the configuration in
// this place.
func IsNotOffered(err error) bool { return Code(err) == "Unsupported" }

// IsPriceTooLow reports whether the spot price exceeds the request's maximum price.
func IsPriceTooLow(err error) bool { return Code(err) == "SpotMaxPriceTooLow" }

// IsUnanswered reports whether a failed request may have succeeded: there was no
// response, or a server error.
func IsUnanswered(err error) bool {
	if err == nil || IsLaunchRefusal(err) || IsThrottle(err) {
		return false
	}
	var invalid smithy.InvalidParamsError
	if errors.As(err, &invalid) {
		return false // not sent
	}
	var answer *smithyhttp.ResponseError
	if Code(err) == "" || !errors.As(err, &answer) { // a truncated response has a success status and no code
		return true
	}
	return answer.HTTPStatusCode() == 0 || answer.HTTPStatusCode() >= 500
}

// Plain returns an error with AWS's message only, or this package's, without the
// SDK's text and the encoded authorization message. If the credentials do not allow the
// request, it says which permission to add. It wraps err.
func Plain(err error) error {
	var outage *OutageError
	var expired *ExpiredError
	var called *callError
	switch {
	case errors.As(err, &outage):
		return plain{err, outage.Error()}
	case errors.As(err, &expired):
		return plain{err, expired.Error()}
	case errors.As(err, &called) && IsUnauthorized(err):
		return plain{err, fmt.Sprintf("%s; allow %s in %s", strings.TrimSuffix(Cause(err), "."), cmp.Or(RefusedBy(err).Action, called.action), called.region)}
	case errors.As(err, &called), Code(err) != "":
		return plain{err, Cause(err)}
	}
	return err
}

type plain struct {
	error
	text string
}

func (p plain) Error() string { return p.text }
func (p plain) Unwrap() error { return p.error }

// IsNewProfileUnknown reports whether EC2 does not yet find an instance profile or
// its role.
func IsNewProfileUnknown(err error) bool {
	return Code(err) == "InvalidParameterValue" &&
		(strings.Contains(err.Error(), "iamInstanceProfile") || strings.Contains(err.Error(), "has no associated IAM Roles"))
}

// IsUnknownCredential reports whether AWS does not accept the access key yet. EC2
// and STS have different codes; packer-plugin-amazon passes on only the text of
// STS's error.
func IsUnknownCredential(err error) bool {
	return Code(err) == "AuthFailure" || err != nil && strings.Contains(err.Error(), "InvalidClientTokenId")
}

// IsWrongState reports whether an instance's state does not allow the action.
func IsWrongState(err error) bool {
	switch Code(err) {
	case "IncorrectInstanceState", "IncorrectState":
		return true
	}
	return false
}
