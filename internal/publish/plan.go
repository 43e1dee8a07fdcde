// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// MaxTemplate is the maximum size in bytes of a template in S3
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html).
const MaxTemplate = 1 << 20

// The actions of a publication.
const (
	Publishing  = "publish"
	RollingBack = "rollback"
)

// Plan is everything that a publication will do, computed beforehand. Its Version
// is set.
type Plan struct {
	Spec
	Action     string
	SHA256     string // of Body, in hex
	Body       []byte
	Places     []Place // in the order of S3.Regions: the first region decides
	Parameters []Parameter
	Stages     [][]string // the regions of the stack set, the canary region first
}

// Place is a region's destination in S3.
type Place struct {
	Region, Bucket, KMSKeyID string
	Key, Latest              string // keys in the bucket
	URL, LatestURL           string
}

// Parameter is an SSM parameter to set.
type Parameter struct {
	Region, Name, Image string
	Fixed               bool // belongs to this version and never changes
}

var versionName = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// CheckVersion checks that a version can be part of a key and of a parameter name.
func CheckVersion(v string) error {
	if !versionName.MatchString(v) || v == latestName {
		return fmt.Errorf("got %q, want up to 128 letters, digits, dots, dashes and underscores, starting with a letter or digit, and not %q", v, latestName)
	}
	return nil
}

// Compute plans the publication of a template, and reports everything that is
// wrong with it. It makes no AWS calls.
func Compute(spec Spec, body []byte) (*Plan, error) {
	sum := sha256.Sum256(body)
	p := &Plan{Spec: spec, Action: Publishing, Body: body, SHA256: hex.EncodeToString(sum[:])}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(body) > MaxTemplate {
		fail("the template has %d bytes; CloudFormation accepts at most %d from S3: split it into nested stacks", len(body), MaxTemplate)
	}
	if p.Version == "" {
		p.Version = p.SHA256
	}
	if err := CheckVersion(p.Version); err != nil {
		fail("version: %w", err)
	}
	if len(p.S3.Regions) == 0 {
		fail("s3: no regions to publish to")
	}
	if err := region.OnePartition(p.S3.Regions); err != nil {
		fail("s3: %w", err)
	}
	for _, region := range p.S3.Regions {
		place, err := p.place(region)
		if err != nil {
			fail("s3: %w", err)
			continue
		}
		if i := slices.IndexFunc(p.Places, func(other Place) bool { return other.Bucket == place.Bucket }); i >= 0 {
			fail("s3: %s and %s have the same bucket %q; a bucket is in one region: set bucket = \"NAME-{{ .Region }}\"", p.Places[i].Region, region, place.Bucket)
		}
		p.Places = append(p.Places, place)
	}
	if p.SSM != nil {
		list, err := p.parameters()
		if err != nil {
			fail("ssm: %w", err)
		}
		p.Parameters = list
	}
	if set := p.StackSet; set != nil {
		p.Stages = set.Stages()
		if err := set.Validate(); err != nil {
			fail("stack_set: %w", err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// The parts of keys.
const (
	templates   = "templates/"
	latestName  = "latest"
	historyName = "history/"
)

// key returns the key of a version of the template in each bucket.
func (s Spec) key(version string) string { return s.S3.Prefix + templates + version + "/" + s.Name }

func (p *Plan) place(region string) (Place, error) {
	var err error
	at := Place{Region: region}
	if at.Bucket, err = Expand(p.S3.Bucket, Words{Region: region}); err != nil {
		return at, fmt.Errorf("bucket: %w", err)
	}
	if at.KMSKeyID, err = Expand(p.S3.KMSKeyID, Words{Region: region}); err != nil {
		return at, fmt.Errorf("kms_key_id: %w", err)
	}
	at.Key, at.Latest = p.key(p.Version), p.key(latestName)
	if at.URL, err = ObjectURL(region, at.Bucket, at.Key); err != nil {
		return at, err
	}
	at.LatestURL, err = ObjectURL(region, at.Bucket, at.Latest)
	return at, err
}

// parameters returns the parameters of every region, in order. It skips a region
// without an image, which Images reports.
func (p *Plan) parameters() ([]Parameter, error) {
	m, err := p.mapping()
	if err != nil {
		return nil, err
	}
	var list []Parameter
	for _, region := range p.ssmRegions() {
		for _, attribute := range p.Attributes {
			cell, _ := m.Cell(region, attribute)
			if !cell.HasImage() {
				continue
			}
			words := Words{Region: region, Attribute: attribute, Version: p.Version}
			for _, n := range []struct {
				pattern string
				fixed   bool
			}{{p.SSM.VersionedName, true}, {p.SSM.Name, false}} {
				if n.pattern == "" {
					continue
				}
				name, err := Expand(n.pattern, words)
				if err != nil {
					return nil, err
				}
				if slices.ContainsFunc(list, func(q Parameter) bool { return q.Region == region && q.Name == name }) {
					return nil, fmt.Errorf("two parameters are named %q; use {{ .Attribute }} in name, and {{ .Version }} in versioned_name", name)
				}
				list = append(list, Parameter{region, name, cell.Value, n.fixed})
			}
		}
	}
	return list, nil
}

// Words are the variables of a pattern.
type Words struct{ Region, Attribute, Version string }

// Expand fills a pattern such as templates-{{ .Region }}.
func Expand(pattern string, words Words) (string, error) {
	if !strings.Contains(pattern, "{{") {
		return pattern, nil
	}
	t, err := template.New("").Parse(pattern)
	var b strings.Builder
	if err == nil {
		err = t.Execute(&b, words)
	}
	if err != nil {
		return "", fmt.Errorf("got %q, want text with {{ .Region }}, {{ .Attribute }} or {{ .Version }}: %w", pattern, err)
	}
	return b.String(), nil
}

// Lines describes the plan for display.
func (p *Plan) Lines() []string {
	verb := "publish"
	if p.Action == RollingBack {
		verb = "roll back"
	}
	lines := []string{fmt.Sprintf("%s %s: version %s, SHA-256 %s, %d bytes", verb, p.Name, p.Version, p.SHA256, len(p.Body))}
	say := func(format string, args ...any) { lines = append(lines, "  "+fmt.Sprintf(format, args...)) }
	for _, at := range p.Places {
		say("s3         %-14s %s", at.Region, at.URL)
	}
	for _, at := range p.Places {
		say("latest     %-14s %s", at.Region, at.LatestURL)
	}
	for _, q := range p.Parameters {
		say("parameter  %-14s %s = %s", q.Region, q.Name, q.Image)
	}
	if p.StackSet != nil {
		to := "accounts " + strings.Join(p.StackSet.Accounts, ", ")
		if len(p.StackSet.OrganizationalUnits) > 0 {
			to = "organizational units " + strings.Join(p.StackSet.OrganizationalUnits, ", ")
		}
		say("stack set  %-14s %s, %s", p.StackSet.Region, p.StackSet.Name, to)
		for i, stage := range p.Stages {
			say("  stage %d: %s", i+1, strings.Join(stage, ", "))
		}
		if p.StackSet.AutoDeployment != nil {
			say("  automatic deployment %s", p.StackSet.AutoDeployment)
		}
		for _, o := range p.StackSet.Overrides {
			say("  overrides in %s", o)
		}
		is, limit := p.StackSet.Concurrency()
		say("  concurrency: %s", is)
		if limit != "" {
			say("  %s", limit)
		}
	}
	return lines
}
