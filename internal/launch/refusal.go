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

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// Kind is what a refusal is about.
type Kind int

// The kinds of refusals.
const (
	NoCapacity Kind = iota // EC2 has none now
	OverQuota              // the account may not have more
	NotOffered             // not there, whatever the time
	OverPrice              // more than was allowed
	NoSpotRole             // the account was never set up for spot instances
)

// Refusal is why one rung was not it.
type Refusal struct {
	Rung   Rung
	Kind   Kind
	Code   string // EC2's, or the option's that forbids it
	Reason string // for people, one line; empty where a Regional one before it says it
	Again  bool   // time may help
	// Regional says that the type and the market are refused in all places.
	Regional bool
}

func (r Refusal) String() string {
	where := r.Rung.String()
	if r.Regional {
		where = fmt.Sprintf("%s, %s, everywhere", r.Rung.Type, r.Rung.Market)
	}
	return fmt.Sprintf("%s: %s (%s)", where, r.Reason, r.Code)
}

// refusalOf says why EC2 refused a rung; nil where its error is none that the
// next rung may not have.
func refusalOf(rung Rung, err error) *Refusal {
	r := &Refusal{Rung: rung, Code: ec2api.Code(err)}
	switch {
	case ec2api.IsNoCapacity(err):
		r.Kind, r.Again, r.Reason = NoCapacity, true, "no capacity there now"
		switch r.Code {
		case "InsufficientFreeAddressesInSubnet":
			r.Reason = "the subnet has no free address"
		case "ReservationCapacityExceeded", "InsufficientReservedInstanceCapacity":
			r.Reason = "no reservation with room there now"
		}
	case ec2api.IsOverQuota(err):
		r.Kind, r.Regional, r.Reason = OverQuota, true, "more than the account's quota"
	case ec2api.IsNotOffered(err):
		r.Kind, r.Reason = NotOffered, sentence(err)
	case ec2api.IsWithoutSpotRole(err):
		r.Kind, r.Regional, r.Reason = NoSpotRole, true, "the account has no service-linked role for spot instances"
	case ec2api.IsPriceTooLow(err):
		r.Kind, r.Again, r.Reason = OverPrice, true, sentence(err)
	default:
		return nil
	}
	return r
}

// sentence is the first one of EC2's message.
func sentence(err error) string {
	text := err.Error()
	var api smithy.APIError
	if errors.As(err, &api) {
		text = api.ErrorMessage()
	}
	text, _, _ = strings.Cut(text, ". ")
	return strings.TrimSuffix(text, ".")
}

// RefusedError is the end of the ladder.
type RefusedError struct {
	Refusals []Refusal // one a rung, the last
	Walks    int
	Waited   time.Duration
	Timeout  time.Duration
	// Region is where it was; for the commands that help.
	Region string
}

// Error lists every rung, and what to do.
func (e *RefusedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no instance could be launched; refused were all %d combinations of type, market and place", len(e.Refusals))
	if e.Walks > 1 {
		fmt.Fprintf(&b, ", tried %d times in %s", e.Walks, e.Waited.Round(time.Second))
	}
	b.WriteString(":")
	for _, r := range e.Refusals {
		if r.Reason != "" {
			fmt.Fprintf(&b, "\n  %s", r)
		}
	}
	b.WriteString("\nWhat to do:")
	for _, line := range e.advice() {
		fmt.Fprintf(&b, "\n  %s", line)
	}
	return b.String()
}

// advice is a line for each thing that would help.
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
		note(zones, r.Kind, r.Rung.Place.String())
		note(types, r.Kind, r.Rung.Type)
	}
	for _, r := range e.Refusals {
		switch r.Kind {
		case OverQuota:
			q, known := QuotaOf(r.Rung.Type, r.Rung.Market)
			if !known {
				add("quota: raise that of the family of %s in %s; aws service-quotas list-service-quotas --service-code ec2 --region %[2]s names it", r.Rung.Type, e.Region)
				continue
			}
			add("quota: raise %q (%s), which counts vCPUs: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code %[2]s --region %s --desired-value VCPUS", q.Name, q.Code, e.Region)
		case NoCapacity:
			more := "set capacity_timeout, such as \"1h\", to wait for it"
			if e.Timeout > 0 {
				more = "raise capacity_timeout"
			}
			add("capacity: tried %s in %s; name more instance_types with the same GPU, other zones, subnets or markets, or %s",
				strings.Join(types[NoCapacity], ", "), strings.Join(zones[NoCapacity], ", "), more)
		case NotOffered:
			add("not offered: %s in %s; aws ec2 describe-instance-type-offerings --location-type availability-zone --filters Name=instance-type,Values=%s --region %s says where it is",
				strings.Join(types[NotOffered], ", "), strings.Join(zones[NotOffered], ", "), strings.Join(types[NotOffered], ","), e.Region)
		case NoSpotRole:
			add("spot role: make it, once in the account: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com")
		case OverPrice:
			switch r.Code {
			case codeUnknownPrice:
				add("price: give it, such as prices = { %q = USD_AN_HOUR }, or allow pricing:GetProducts", r.Rung.Type)
			case codePerHour, codeBuild:
				add("price: raise %s, or name less expensive instance_types or markets", r.Code)
			default:
				add("price: raise spot_price or the limit (max_price_per_hour, max_build_cost), or name other instance_types or markets")
			}
		}
	}
	return lines
}
