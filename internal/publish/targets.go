// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"fmt"
	"strings"
)

// Target is a place to which a plan publishes.
type Target struct{ Kind, Region, Name string }

// Kinds of targets.
const (
	TargetS3        = "s3"
	TargetParameter = "parameter"
	TargetStackSet  = "stack-set"
)

// Targets returns where the plan publishes: the URL of each copy, the name of each
// parameter, and the stack set.
func (p *Plan) Targets() (all []Target) {
	for _, at := range p.Places {
		all = append(all, Target{TargetS3, at.Region, at.URL})
	}
	for _, q := range p.Parameters {
		all = append(all, Target{TargetParameter, q.Region, q.Name})
	}
	if p.StackSet != nil {
		all = append(all, Target{TargetStackSet, p.StackSet.Region, p.StackSet.Name})
	}
	return all
}

// Brief describes the publication in one line: "mining.template, version 1.2.0: S3 in 8
// regions, 8 parameters, stack set miners". A version that is the template's SHA-256 is
// shortened.
func (p *Plan) Brief() string {
	version := p.Version
	if version == p.SHA256 {
		version = version[:12]
	}
	var to []string
	if n := len(p.Places); n == 1 {
		to = append(to, p.Places[0].URL)
	} else if n > 1 {
		to = append(to, fmt.Sprintf("S3 in %d regions", n))
	}
	if n := len(p.Parameters); n == 1 {
		to = append(to, "parameter "+p.Parameters[0].Name)
	} else if n > 1 {
		to = append(to, fmt.Sprintf("%d parameters", n))
	}
	if p.StackSet != nil {
		to = append(to, "stack set "+p.StackSet.Name)
	}
	return fmt.Sprintf("%s, version %s: %s", p.Name, version, strings.Join(to, ", "))
}
