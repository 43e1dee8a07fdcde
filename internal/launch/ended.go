// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// EndedError is returned if EC2 accepted a launch, but ended the instance before it
// ran. Its codes are those of
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html.
type EndedError struct {
	ID     string
	Code   string // of the state reason; empty if EC2 returned none
	Reason string
}

// Ended returns the error of an instance that ended before it ran.
func Ended(instance ec2types.Instance) *EndedError {
	e := &EndedError{ID: aws.ToString(instance.InstanceId)}
	if reason := instance.StateReason; reason != nil {
		e.Code = aws.ToString(reason.Code)
		e.Reason = strings.TrimPrefix(aws.ToString(reason.Message), e.Code+": ")
	}
	return e
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("%s (%s)", e.sentence(), cmp.Or(e.Code, "no code"))
}

func (e *EndedError) sentence() string {
	return fmt.Sprintf("%s ended before it ran: %s", e.ID, cmp.Or(strings.TrimSuffix(e.Reason, "."), "EC2 returned no reason"))
}

// KeyUnusable reports whether EC2 probably could not use the KMS key of a volume
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html).
func (e *EndedError) KeyUnusable() bool { return e.Code == "Client.InternalError" }

// refusal returns the refusal for the reasons that may not apply to another attempt;
// nil for the others.
func (e *EndedError) refusal(attempt Attempt) *Refusal {
	r := &Refusal{Attempt: attempt, Code: e.Code, Reason: e.sentence(), Again: true}
	switch {
	case e.Code == "Server.InsufficientInstanceCapacity", isReclaim(e.Code):
		r.Kind = NoCapacity
	case e.Code == "Server.InternalError":
		r.Kind = Failed
	case e.Code == "Client.VolumeLimitExceeded":
		r.Kind, r.Regional = OverVolumeQuota, true
	default:
		return nil
	}
	return r
}
