// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package s3

import (
	"encoding/xml"
	"maps"
	"slices"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// bucket is a bucket with the defaults of new buckets: ACLs disabled and public access
// blocked.
type bucket struct {
	name, region string
	created      time.Time
	versioning   string // "", Enabled or Suspended
	ownership    string // "" if deleted
	block        *publicAccessBlock
	tags         []tag
	keys         map[string][]*version // the last one is current
}

const enforced = "BucketOwnerEnforced"

var bucketName = lazyregexp.New(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// timeFormat is the format of times in S3's XML.
const timeFormat = "2006-01-02T15:04:05.000Z"

func (c *call) createBucket() error {
	var in struct {
		XMLName            xml.Name
		LocationConstraint string
	}
	if len(c.body) > 0 {
		if err := c.bodyXML(&in); err != nil {
			return err
		}
	}
	at := in.LocationConstraint
	switch {
	case !bucketName.MatchString(c.Bucket):
		return fail(400, "InvalidBucketName", "The specified bucket is not valid.")
	case at == "us-east-1":
		return fail(400, "InvalidLocationConstraint", "The specified location-constraint is not valid")
	case at == "" && c.region != "us-east-1":
		return fail(400, "IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.")
	case at != "" && c.region != "us-east-1" && at != c.region, at != "" && c.s.Open != nil && !c.s.Open(at):
		return fail(400, "IllegalLocationConstraintException", "The "+at+" location constraint is incompatible for the region specific endpoint this request was sent to.")
	case at == "":
		at = "us-east-1"
	}
	ownership := c.header.Get("x-amz-object-ownership")
	if ownership == "" {
		ownership = enforced
	}
	if acl := c.header.Get("x-amz-acl"); acl != "" && acl != "private" {
		if ownership == enforced {
			return fail(400, "InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
		}
		return fail(400, "InvalidBucketAclWithBlockPublicAccessError", "Bucket cannot have public ACLs set with BlockPublicAccess enabled")
	}
	c.out.Header.Set("Location", "/"+c.Bucket)
	if b := c.s.buckets[c.Bucket]; b != nil {
		if b.region == "us-east-1" && c.region == "us-east-1" {
			return nil // S3 does this only in us-east-1
		}
		return fail(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
	}
	if c.s.buckets == nil {
		c.s.buckets = map[string]*bucket{}
	}
	c.s.buckets[c.Bucket] = &bucket{
		name: c.Bucket, region: at, created: c.now, ownership: ownership, block: &publicAccessBlock{true, true, true, true}, keys: map[string][]*version{},
	}
	return nil
}

func (c *call) headBucket() error {
	c.out.Header.Set("x-amz-bucket-region", c.b.region)
	return nil
}

func (c *call) deleteBucket() error {
	if len(c.b.keys) > 0 {
		return fail(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
	}
	delete(c.s.buckets, c.b.name)
	c.out.Status = 204
	return nil
}

func (c *call) getLocation() error {
	at := c.b.region
	if at == "us-east-1" {
		at = ""
	}
	return c.writeXML("LocationConstraint", at)
}

type owner struct {
	ID          string
	DisplayName string `xml:",omitempty"`
}

// owner returns the canonical user of the account.
func (c *call) owner() owner { return owner{ID: canonicalID(c.s.AccountID)} }

type listedBucket struct{ Name, CreationDate, BucketRegion string }

func (c *call) listBuckets() error {
	out := struct {
		Owner   owner
		Buckets []listedBucket `xml:"Buckets>Bucket"`
	}{Owner: c.owner()}
	for _, name := range slices.Sorted(maps.Keys(c.s.buckets)) {
		b := c.s.buckets[name]
		if in := c.query.Get("bucket-region"); in == "" || in == b.region {
			out.Buckets = append(out.Buckets, listedBucket{name, b.created.Format(timeFormat), b.region})
		}
	}
	return c.writeXML("ListAllMyBucketsResult", out)
}

// Bucket describes a bucket in the inventory.
type Bucket struct {
	Name, Region string
	Tags         map[string]string
}

// Buckets returns all buckets, by name.
func (s *Service) Buckets() []Bucket {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Bucket
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		b := Bucket{Name: name, Region: s.buckets[name].region}
		for _, t := range s.buckets[name].tags {
			if b.Tags == nil {
				b.Tags = map[string]string{}
			}
			b.Tags[t.Key] = t.Value
		}
		all = append(all, b)
	}
	return all
}
