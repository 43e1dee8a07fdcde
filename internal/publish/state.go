// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Source locates a published template, in the first region's bucket.
type Source struct{ Region, Bucket, Prefix, Name string }

// ParseSource parses s3://BUCKET/PREFIXtemplates/latest/NAME.
func ParseSource(uri, region string) (Source, error) {
	bucket, key, ok := strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
	prefix, name, found := strings.Cut(key, templates+latestName+"/")
	if !strings.HasPrefix(uri, "s3://") || !ok || !found || name == "" || strings.Contains(name, "/") || prefix != "" && !strings.HasSuffix(prefix, "/") {
		return Source{}, fmt.Errorf("got %q, want s3://BUCKET/%s%s/NAME of the first region, with the prefix before %s", uri, templates, latestName, templates)
	}
	return Source{region, bucket, prefix, name}, nil
}

// Source returns where the plan will be published.
func (p *Plan) Source() Source {
	return Source{p.Places[0].Region, p.Places[0].Bucket, p.S3.Prefix, p.Name}
}

func (s Source) String() string {
	return "s3://" + s.Bucket + "/" + Spec{Name: s.Name, S3: S3{Prefix: s.Prefix}}.key(latestName)
}

func (s Source) place() Place {
	return Place{Region: s.Region, Bucket: s.Bucket, Latest: Spec{Name: s.Name, S3: S3{Prefix: s.Prefix}}.key(latestName)}
}

// State is the published state.
type State struct {
	Source
	Latest Latest
	Record Record
	Sealed bool // the publication is complete
}

// State reads the published state from the first region.
func (p *Publisher) State(ctx context.Context, src Source) (*State, error) {
	s, at := &State{Source: src}, src.place()
	var err error
	if s.Latest, err = p.latest(ctx, at, ""); err != nil {
		return nil, err
	}
	if s.Latest.Number == 0 {
		return nil, fmt.Errorf("%s was not published by this program: the object does not exist, or has no publication number", src)
	}
	if s.Record, _, err = p.recordOf(ctx, at, "", src.Prefix, src.Name, s.Latest); err != nil {
		return nil, err
	}
	if len(s.Record.Spec.S3.Regions) == 0 {
		return nil, fmt.Errorf("%s has no record of how it was published: publish it again", src)
	}
	seal, err := p.get(ctx, at, "", sealKey(src.Prefix, src.Name, s.Latest.Number))
	s.Sealed = seal != nil
	return s, err
}

// RollbackPlan plans a rollback to a version, or to the previous one if to is
// empty. An interrupted rollback is resumed. to may be a prefix of a version.
func (p *Publisher) RollbackPlan(ctx context.Context, s *State, to string) (*Plan, error) {
	var target Entry
	stack := s.Record.Stack
	switch {
	case to == "" && s.Record.Action == RollingBack && !s.Sealed:
		target = stack[0]
	case to == "" && len(stack) < 2:
		return nil, fmt.Errorf("%s is the only known version: there is no earlier one to roll back to", s.Latest.Version)
	case to == "":
		target = stack[1]
	default:
		found := slices.DeleteFunc(slices.Clone(stack), func(e Entry) bool { return !strings.HasPrefix(e.Version, to) })
		if i := slices.IndexFunc(found, func(e Entry) bool { return e.Version == to }); i >= 0 {
			found = found[i : i+1]
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("%q matches %d of the known versions; expected one of %s", to, len(found), versions(stack))
		}
		target = found[0]
	}
	spec := s.Record.Spec
	spec.Version = target.Version
	key := spec.key(target.Version)
	o, err := p.get(ctx, s.place(), spec.S3.Owner, key)
	if err != nil {
		return nil, err
	}
	if o == nil {
		return nil, fmt.Errorf("%s no longer exists in %s; cannot roll back to it", key, s.Bucket)
	}
	if sum := sha256.Sum256(o.body); hex.EncodeToString(sum[:]) != target.SHA256 {
		return nil, fmt.Errorf("%s in %s has changed since it was published (SHA-256 %x, not %s)", key, s.Bucket, sum, target.SHA256)
	}
	plan, err := Compute(spec, o.body)
	if err != nil {
		return nil, err
	}
	plan.Action = RollingBack
	return plan, nil
}

func versions(stack []Entry) string {
	var list []string
	for _, e := range stack {
		list = append(list, e.Version)
	}
	return strings.Join(list, ", ")
}

// Past is an earlier publication.
type Past struct {
	Record
	At     time.Time
	Sealed bool
}

// History lists the publications, newest first, up to the number most.
func (p *Publisher) History(ctx context.Context, src Source, most int) ([]Past, error) {
	at := src.place()
	api := p.Clients.S3(src.Region, src.Bucket)
	prefix := src.Prefix + historyName + src.Name + "/"
	written, sealed := map[string]time.Time{}, map[string]bool{}
	pages := s3.NewListObjectsV2Paginator(api, &s3.ListObjectsV2Input{Bucket: &src.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, (&run{Publisher: p, plan: &Plan{}}).explain(err, at, "s3:ListBucket")
		}
		for _, o := range page.Contents {
			if number, ok := strings.CutSuffix(aws.ToString(o.Key), ".done"); ok {
				sealed[number] = true
			} else if number, ok := strings.CutSuffix(aws.ToString(o.Key), ".json"); ok {
				written[number] = aws.ToTime(o.LastModified)
			}
		}
	}
	var numbers []string
	for number := range written {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	slices.Reverse(numbers)
	var list []Past
	for _, number := range numbers[:min(len(numbers), most)] {
		o, err := p.get(ctx, at, "", number+".json")
		if err != nil {
			return nil, err
		}
		if o == nil {
			return nil, fmt.Errorf("%s.json was deleted in the meantime", number)
		}
		past := Past{At: written[number], Sealed: sealed[number]}
		if err := json.Unmarshal(o.body, &past.Record); err != nil {
			return nil, fmt.Errorf("%s.json: %w", number, err)
		}
		list = append(list, past)
	}
	if len(list) == 0 {
		return nil, errors.New("nothing was published there by this program")
	}
	return list, nil
}
