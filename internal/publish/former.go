// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shortlist"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// Item is something that a publication changes: a `latest`, a parameter without a
// version in its name, or a stack set. It is comparable.
type Item struct {
	Kind      string `json:"kind"` // as in Finding
	Region    string `json:"region"`
	Name      string `json:"name"`
	Bucket    string `json:"bucket,omitempty"`    // of a latest, whose Name is its key
	Attribute string `json:"attribute,omitempty"` // of a parameter
	CallAs    string `json:"call_as,omitempty"`   // of a stack set
}

// items returns what a publication with these options changes. It skips patterns
// that cannot be expanded.
func (s Spec) items() (list []Item) {
	for _, region := range s.S3.Regions {
		if bucket, err := Expand(s.S3.Bucket, Words{Region: region}); err == nil {
			list = append(list, Item{Kind: kindLatest, Region: region, Name: s.key(latestName), Bucket: bucket})
		}
	}
	if s.SSM != nil && s.SSM.Name != "" {
		for _, region := range (&Plan{Spec: s}).ssmRegions() {
			for _, attribute := range s.Attributes {
				if name, err := Expand(s.SSM.Name, Words{Region: region, Attribute: attribute}); err == nil {
					list = append(list, Item{Kind: kindParameter, Region: region, Name: name, Attribute: attribute})
				}
			}
		}
	}
	if set := s.StackSet; set != nil {
		list = append(list, Item{Kind: kindStackSet, Region: set.Region, Name: set.Name, CallAs: set.CallAs})
	}
	return list
}

// former returns the items that this record or an earlier one contains and a
// publication with the given options does not.
func (before Record) former(now Spec) (list []Item) {
	if before.Number == 0 {
		return nil
	}
	current := now.items()
	for _, i := range slices.Concat(before.Former, before.Spec.items()) {
		if !slices.Contains(current, i) && !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	return list
}

// formerFindings looks up items that only earlier publications contain, and
// returns those that exist and differ from the plan.
func (r *run) formerFindings(ctx context.Context, items []Item, number int) (list []Finding) {
	want := fmt.Sprintf("absent: publication %d does not contain it", number)
	for _, i := range items {
		name, is, err := r.formerState(ctx, i)
		switch {
		case err != nil:
			is = "unknown: " + awsclient.Plain(err).Error()
		case is == "":
			continue
		}
		list = append(list, Finding{i.Kind, i.Region, name, is, want})
	}
	return list
}

// formerState returns the name and the state of an item. The state is empty if the
// item does not exist, or if its content is that of the plan.
func (r *run) formerState(ctx context.Context, i Item) (name, is string, err error) {
	switch i.Kind {
	case kindLatest:
		at := Place{Region: i.Region, Bucket: i.Bucket, Latest: i.Name}
		if name, err = ObjectURL(i.Region, i.Bucket, i.Name); err != nil {
			return i.Name, "", err
		}
		l, err := r.latest(ctx, at, r.plan.S3.Owner)
		if awsclient.Code(err) == "NoSuchBucket" || err == nil && (!l.Found || l.SHA256 == r.plan.SHA256) {
			return name, "", nil
		}
		return name, fmt.Sprintf("%s, publication %d", l.Version, l.Number), err
	case kindParameter:
		now, err := getParameter(ctx, r.Clients.SSM(i.Region), Parameter{Region: i.Region, Name: i.Name})
		if err != nil || now == nil {
			return i.Name, "", err
		}
		value := aws.ToString(now.Value)
		if m, err := r.plan.mapping(); err == nil {
			if cell, _ := m.Cell(i.Region, i.Attribute); cell.Value == value {
				return i.Name, "", nil
			}
		}
		return i.Name, value, nil
	case kindStackSet:
		set := r.stackSet(&stackset.Config{Name: i.Name, Region: i.Region, CallAs: i.CallAs})
		text, exists, err := set.Template(ctx)
		if err != nil || !exists || stackset.Alike(text, string(r.plan.Body)) {
			return i.Name, "", err
		}
		return i.Name, "another template", nil
	}
	return i.Name, "", nil
}

// reportFormer names, in one line, the items that earlier publications contain and
// this one does not.
func (r *run) reportFormer(ctx context.Context) {
	var names []string
	for _, f := range r.formerFindings(ctx, r.record.Former, r.number) {
		names = append(names, fmt.Sprintf("%s %s in %s (%s)", f.Kind, f.Name, f.Region, f.Is))
	}
	if len(names) > 0 {
		r.Sayf("not updated, because only earlier publications contain them: %s; add them to publish again, or delete them", strings.ReplaceAll(shortlist.Join(names), "\n", " "))
	}
}
