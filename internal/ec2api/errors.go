// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2api

import (
	"errors"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Code returns the error code that AWS answered with, empty if err is none of
// AWS's (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html).
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// IsNotFound says that the resource does not exist, or does not exist yet:
// EC2 is eventually consistent for a moment after a creation.
func IsNotFound(err error) bool {
	return strings.HasSuffix(Code(err), ".NotFound")
}

// IsThrottle says that AWS asks to call less often.
func IsThrottle(err error) bool {
	switch Code(err) {
	case "RequestLimitExceeded", "Throttling", "ThrottlingException", "SlowDown":
		return true
	}
	return false
}

// IsTransient says that the same call may succeed later: AWS is throttling, has
// too much of this going on, or has an error of its own.
func IsTransient(err error) bool {
	switch {
	case err == nil, IsLaunchRefusal(err):
		return false
	case IsThrottle(err), Code(err) == "ResourceLimitExceeded", Code(err) == "RequestTimeout":
		return true
	}
	var answer *smithyhttp.ResponseError
	return errors.As(err, &answer) && answer.HTTPStatusCode() >= 500
}

// IsLaunchRefusal says that EC2 cannot launch this type, here, in this market,
// while another rung may be possible.
func IsLaunchRefusal(err error) bool {
	return IsNoCapacity(err) || IsOverQuota(err) || IsNotOffered(err) || IsPriceTooLow(err) || IsWithoutSpotRole(err)
}

// IsWithoutSpotRole says that the account lacks the role by which EC2 manages
// spot instances, and the caller may not make it
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html).
func IsWithoutSpotRole(err error) bool {
	return Code(err) == "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
}

// IsNoCapacity says that EC2, the subnet or the reservation has no room now.
func IsNoCapacity(err error) bool {
	switch Code(err) {
	case "InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacityOnHost", "InsufficientReservedInstanceCapacity",
		"ReservationCapacityExceeded", "InsufficientFreeAddressesInSubnet", "InsufficientVolumeCapacity", "UnfulfillableCapacity":
		return true
	}
	return false
}

// IsOverQuota says that the account may not run more of this in the region.
func IsOverQuota(err error) bool {
	switch Code(err) {
	case "InstanceLimitExceeded", "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded":
		return true
	}
	return false
}

// IsNotOffered says that the place does not have the type, or not like this.
func IsNotOffered(err error) bool { return Code(err) == "Unsupported" }

// IsPriceTooLow says that a spot instance costs more than was offered.
func IsPriceTooLow(err error) bool { return Code(err) == "SpotMaxPriceTooLow" }

// IsUnanswered says that a call may have been carried out although it failed:
// no answer came, or that of a server with an error of its own.
func IsUnanswered(err error) bool {
	if err == nil || IsLaunchRefusal(err) || IsThrottle(err) {
		return false
	}
	var answer *smithyhttp.ResponseError
	return !errors.As(err, &answer) || answer.HTTPStatusCode() == 0 || answer.HTTPStatusCode() >= 500
}

// Plain is an error as AWS says it, without what the SDK puts around it and
// without the encoded text that goes with a refused permission. It still is err.
func Plain(err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}
	text, _, _ := strings.Cut(api.ErrorMessage(), " Encoded authorization failure message:")
	return plain{err, api.ErrorCode() + ": " + text}
}

type plain struct {
	error
	text string
}

func (p plain) Error() string { return p.text }
func (p plain) Unwrap() error { return p.error }

// IsNewProfileUnknown says that EC2 does not know an instance profile, yet.
func IsNewProfileUnknown(err error) bool {
	return Code(err) == "InvalidParameterValue" && strings.Contains(err.Error(), "iamInstanceProfile")
}

// IsUnknownCredential says that AWS does not know the access key, yet. EC2 and
// STS call it differently; of STS's, packer-plugin-amazon passes on the text.
func IsUnknownCredential(err error) bool {
	return Code(err) == "AuthFailure" || err != nil && strings.Contains(err.Error(), "InvalidClientTokenId")
}

// IsWrongState says that an instance's state does not allow the action.
func IsWrongState(err error) bool {
	switch Code(err) {
	case "IncorrectInstanceState", "IncorrectState":
		return true
	}
	return false
}
