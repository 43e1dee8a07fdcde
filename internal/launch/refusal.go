// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// Kind is the kind of a refusal.
type Kind int

// The kinds of refusals.
const (
	NoCapacity Kind = iota // no capacity at this time
	OverQuota              // the account's quota is exceeded
	NotOffered             // not offered in this place
	OverPrice              // the price exceeds a limit
	NoSpotRole             // the account has no role for spot instances

	// The kinds of launches that EC2 accepted first.
	Failed          // an error of EC2
	OverVolumeQuota // a quota of EBS volumes is exceeded
)

// Refusal is the reason why a launch attempt was refused.
type Refusal struct {
	Attempt Attempt
	Kind    Kind
	Code    string // EC2's error code, or the option that forbids the launch
	Reason  string // one line; empty if an earlier Regional refusal has the reason
	Again   bool   // a later attempt may succeed
	// Regional is true if the type and the market are refused in all places.
	Regional bool
}

func (r Refusal) String() string {
	where := r.Attempt.String()
	if r.Regional {
		where = fmt.Sprintf("%s, %s, everywhere", r.Attempt.Type, r.Attempt.Market)
	}
	return fmt.Sprintf("%s: %s (%s)", where, r.Reason, r.Code)
}

// refusalOf returns why EC2 refused an attempt; nil if the next attempt would have the
// same error.
func refusalOf(attempt Attempt, err error) *Refusal {
	if ended := new(EndedError); errors.As(err, &ended) {
		return ended.refusal(attempt)
	}
	r := &Refusal{Attempt: attempt, Code: awsclient.Code(err)}
	switch {
	case awsclient.IsNoCapacity(err):
		r.Kind, r.Again, r.Reason = NoCapacity, true, "no capacity at this time"
		switch r.Code {
		case "InsufficientFreeAddressesInSubnet":
			r.Reason = "the subnet has no available address"
		case "ReservationCapacityExceeded", "InsufficientReservedInstanceCapacity":
			r.Reason = "no reservation with available capacity"
		}
	case awsclient.IsOverQuota(err):
		r.Kind, r.Regional, r.Reason = OverQuota, true, "exceeds the account's quota"
	case awsclient.IsNotOffered(err):
		r.Kind, r.Reason = NotOffered, sentence(err)
	case awsclient.IsWithoutSpotRole(err):
		r.Kind, r.Regional, r.Reason = NoSpotRole, true, "the account has no service-linked role for spot instances"
	case awsclient.IsPriceTooLow(err):
		r.Kind, r.Again, r.Reason = OverPrice, true, sentence(err)
	default:
		return nil
	}
	return r
}

// IsRefusal reports whether another launch attempt may succeed after an error.
func IsRefusal(err error) bool { return refusalOf(Attempt{}, err) != nil }

// sentence returns the first sentence of EC2's message.
func sentence(err error) string {
	text := err.Error()
	var api smithy.APIError
	if errors.As(err, &api) {
		text = api.ErrorMessage()
	}
	text, _, _ = strings.Cut(text, ". ")
	return strings.TrimSuffix(text, ".")
}

// RefusedError is returned if all launch attempts were refused.
type RefusedError struct {
	Refusals []Refusal // the last one of each attempt
	Rounds   int
	Waited   time.Duration
	Timeout  time.Duration
	// Region is the region, for the commands in the advice.
	Region string
}

// Error lists all refusals and the remedies.
func (e *RefusedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "could not launch an instance: all %d combinations of type, market and place were refused", len(e.Refusals))
	if e.Rounds > 1 {
		fmt.Fprintf(&b, ", tried %d times in %s", e.Rounds, e.Waited.Round(time.Second))
	}
	b.WriteString(":")
	for _, r := range e.Refusals {
		if r.Reason != "" {
			fmt.Fprintf(&b, "\n  %s", r)
		}
	}
	b.WriteString("\nRemedies:")
	for _, line := range e.advice() {
		fmt.Fprintf(&b, "\n  %s", line)
	}
	return b.String()
}

// advice returns one line for each remedy.
func (e *RefusedError) advice() []string {
	var lines []string
	add := func(format string, args ...any) {
		if line := fmt.Sprintf(format, args...); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	zones := map[Kind][]string{}
	types := map[Kind][]string{}
	note := func(m map[Kind][]string, k Kind, v string) {
		if !slices.Contains(m[k], v) {
			m[k] = append(m[k], v)
		}
	}
	for _, r := range e.Refusals {
		note(zones, r.Kind, r.Attempt.Place.String())
		note(types, r.Kind, r.Attempt.Type)
	}
	for _, r := range e.Refusals {
		switch r.Kind {
		case OverQuota:
			q, known := QuotaOf(r.Attempt.Type, r.Attempt.Market)
			if !known {
				add("quota: raise the quota of the family of %s in %s; list the quotas with aws service-quotas list-service-quotas --service-code ec2 --region %[2]s", r.Attempt.Type, e.Region)
				continue
			}
			add("quota: raise %q (%s), which counts vCPUs: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code %[2]s --region %s --desired-value VCPUS", q.Name, q.Code, e.Region)
		case NoCapacity:
			more := "set capacity_timeout, such as \"1h\", to wait for capacity"
			if e.Timeout > 0 {
				more = "raise capacity_timeout"
			}
			add("capacity: tried %s in %s; add more instance_types with the same GPU, other zones, subnets or markets, or %s",
				strings.Join(types[NoCapacity], ", "), strings.Join(zones[NoCapacity], ", "), more)
		case NotOffered:
			add("not offered: %s in %s; list the offerings with aws ec2 describe-instance-type-offerings --location-type availability-zone --filters Name=instance-type,Values=%s --region %s",
				strings.Join(types[NotOffered], ", "), strings.Join(zones[NotOffered], ", "), strings.Join(types[NotOffered], ","), e.Region)
		case NoSpotRole:
			add("spot role: create it once per account: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com")
		case Failed:
			add("launch: EC2 had an internal error; run the build again, or set capacity_timeout, such as \"1h\", to retry")
		case OverVolumeQuota:
			add("volumes: delete unused volumes, or raise the quotas of volume storage, which are per volume type: aws service-quotas list-service-quotas --service-code ebs --region %s", e.Region)
		case OverPrice:
			switch r.Code {
			case codeUnknownPrice:
				add("price: set it, such as prices = { %q = USD_PER_HOUR }, or allow pricing:GetProducts", r.Attempt.Type)
			case codePerHour, codeBuild:
				add("price: raise %s, or choose less expensive instance_types or markets", r.Code)
			default:
				add("price: raise spot_price or the limit (max_price_per_hour, max_build_cost), or choose other instance_types or markets")
			}
		}
	}
	return lines
}
