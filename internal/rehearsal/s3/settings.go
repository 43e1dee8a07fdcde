// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

func canonicalID(account string) string {
	sum := sha256.Sum256([]byte(account))
	return hex.EncodeToString(sum[:])
}

func (c *call) getVersioning() error {
	return c.writeXML("VersioningConfiguration", struct {
		Status string `xml:",omitempty"`
	}{c.b.versioning})
}

func (c *call) putVersioning() error {
	var in struct{ Status string }
	if err := c.bodyXML(&in); err != nil {
		return err
	}
	if in.Status != "Enabled" && in.Status != "Suspended" {
		return fail(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	c.b.versioning = in.Status
	return nil
}

type publicAccessBlock struct {
	BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets bool
}

func (c *call) getPublicAccessBlock() error {
	if c.b.block == nil {
		return fail(404, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
	}
	return c.writeXML("PublicAccessBlockConfiguration", *c.b.block)
}

func (c *call) putPublicAccessBlock() error {
	var in publicAccessBlock
	if err := c.bodyXML(&in); err != nil {
		return err
	}
	c.b.block = &in
	return nil
}

func (c *call) deletePublicAccessBlock() error {
	c.b.block, c.out.Status = nil, 204
	return nil
}

type ownershipControls struct {
	Rule struct{ ObjectOwnership string }
}

func (c *call) getOwnership() error {
	if c.b.ownership == "" {
		return fail(404, "OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
	}
	var out ownershipControls
	out.Rule.ObjectOwnership = c.b.ownership
	return c.writeXML("OwnershipControls", out)
}

func (c *call) putOwnership() error {
	var in ownershipControls
	if err := c.bodyXML(&in); err != nil {
		return err
	}
	switch in.Rule.ObjectOwnership {
	case enforced, "BucketOwnerPreferred", "ObjectWriter":
	default:
		return fail(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	c.b.ownership = in.Rule.ObjectOwnership
	return nil
}

func (c *call) deleteOwnership() error {
	c.b.ownership, c.out.Status = "", 204
	return nil
}

// checkACL returns an error if the bucket does not allow a canned ACL.
func (c *call) checkACL(acl string) error {
	public := strings.HasPrefix(acl, "public-") || acl == "authenticated-read"
	switch {
	case acl == "":
		return nil
	case c.b.ownership == enforced && acl != "bucket-owner-full-control":
		return fail(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")
	case public && c.b.block != nil && c.b.block.BlockPublicAcls:
		return fail(403, "AccessDenied", "User: arn:aws:iam::"+c.s.AccountID+":user/rehearsal is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::"+c.Bucket+"/"+c.Key+
			"\" because public access control lists (ACLs) are prevented by the BlockPublicAcls setting in S3 Block Public Access")
	}
	for _, known := range []string{"private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control"} {
		if acl == known {
			return nil
		}
	}
	return fail(400, "InvalidArgument", acl+" is not a canned ACL.")
}

type grantee struct {
	Space string `xml:"xmlns:xsi,attr"`
	Type  string `xml:"xsi:type,attr"`
	ID    string `xml:",omitempty"`
	URI   string `xml:",omitempty"`
}

type grant struct {
	Grantee    grantee
	Permission string
}

// writeACL renders a canned ACL as grants.
func (c *call) writeACL(acl string) error {
	const instance = "http://www.w3.org/2001/XMLSchema-instance"
	out := struct {
		Owner  owner
		Grants []grant `xml:"AccessControlList>Grant"`
	}{Owner: c.owner(), Grants: []grant{{grantee{instance, "CanonicalUser", c.owner().ID, ""}, "FULL_CONTROL"}}}
	group := func(name, permission string) {
		out.Grants = append(out.Grants, grant{grantee{instance, "Group", "", "http://acs.amazonaws.com/groups/global/" + name}, permission})
	}
	switch acl {
	case "public-read":
		group("AllUsers", "READ")
	case "public-read-write":
		group("AllUsers", "READ")
		group("AllUsers", "WRITE")
	case "authenticated-read":
		group("AuthenticatedUsers", "READ")
	}
	return c.writeXML("AccessControlPolicy", out)
}

func (c *call) getBucketACL() error { return c.writeACL("private") }

func (c *call) getACL() error {
	v, err := c.version()
	if err != nil {
		return err
	}
	return c.writeACL(v.acl)
}

func (c *call) putACL() error {
	v, err := c.version()
	if err != nil {
		return err
	}
	acl := c.header.Get("x-amz-acl")
	if acl == "" {
		return fail(501, "NotImplemented", "The rehearsal supports only canned ACLs.")
	}
	if err := c.checkACL(acl); err != nil {
		return err
	}
	v.acl = acl
	return nil
}
