// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package network

import (
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Group is a security group.
type Group struct {
	GroupID     string
	Tags        api.TagList
	VpcID       string
	Arn         string
	OwnerID     string
	Name        string
	Description string

	createdAt time.Time // zero for default groups
	rules     []*rule
	Seeded    bool // provided by AWS
}

// GroupID is the id and the name of a security group.
type GroupID struct {
	ID   string `xml:"groupId"`
	Name string `xml:"groupName"`
}

// groupInfo is a group in a response, with its rules grouped into permissions.
type groupInfo struct {
	GroupID     string                  `xml:"groupId"`
	Egress      query.Set[ipPermission] `xml:"ipPermissionsEgress"`
	Tags        api.TagList             `xml:"tagSet"`
	VpcID       string                  `xml:"vpcId"`
	Arn         string                  `xml:"securityGroupArn"`
	OwnerID     string                  `xml:"ownerId"`
	Name        string                  `xml:"groupName"`
	Description string                  `xml:"groupDescription"`
	Ingress     query.Set[ipPermission] `xml:"ipPermissions"`
}

func (c *Call) group(id string) (*Group, error) {
	if !api.WellFormed(id, "sg") {
		return nil, query.Errorf("InvalidGroupId.Malformed", "Invalid id: %q (expecting \"sg-...\")", id)
	}
	if g, ok := c.Net.Groups.Get(id); ok && !c.IsNew(g.createdAt) {
		return g, nil
	}
	return nil, query.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

// groupNamed finds a group of the default VPC by name. EC2 accepts names only there.
func (c *Call) groupNamed(name string) (*Group, error) {
	for _, g := range c.Net.Groups.All() {
		if g.Name == name && g.VpcID == c.Net.DefaultVPC.VpcID && !c.IsNew(g.createdAt) {
			return g, nil
		}
	}
	return nil, query.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, c.Net.DefaultVPC.VpcID)
}

// requestedGroup returns the group named by GroupId or GroupName.
func (c *Call) requestedGroup() (*Group, error) {
	switch {
	case c.Params.Has("GroupId"):
		return c.group(c.Params.Get("GroupId"))
	case c.Params.Has("GroupName"):
		return c.groupNamed(c.Params.Get("GroupName"))
	}
	return nil, query.Errorf("MissingParameter", "The request must contain the parameter groupName or groupId")
}

// GroupsFor returns the groups of a launch into a subnet, or of any subnet if net is
// nil. The default is the default group of the VPC.
func (c *Call) GroupsFor(net *Subnet, ids, names []string) ([]GroupID, error) {
	var out []GroupID
	for _, id := range ids {
		g, err := c.group(id)
		if err != nil {
			return nil, err
		}
		if net != nil && g.VpcID != net.VpcID {
			return nil, query.Errorf("InvalidParameter", "Security group %s and subnet %s belong to different networks.", g.GroupID, net.SubnetID)
		}
		out = append(out, GroupID{g.GroupID, g.Name})
	}
	if len(ids) == 0 && len(names) == 0 && net != nil && net.VpcID != c.Net.DefaultVPC.VpcID {
		for _, g := range c.Net.Groups.All() {
			if g.VpcID == net.VpcID && g.Seeded {
				return []GroupID{{g.GroupID, g.Name}}, nil
			}
		}
	}
	if len(ids) == 0 && len(names) == 0 {
		names = []string{"default"}
	}
	for _, name := range names {
		g, err := c.groupNamed(name)
		if err != nil {
			return nil, err
		}
		out = append(out, GroupID{g.GroupID, g.Name})
	}
	return out, nil
}

func createSecurityGroup(c *Call) (any, error) {
	name := c.Params.Get("GroupName")
	if c.Params.Get("VpcId") == "" && !c.hasDefaultVPC() {
		return nil, errNoDefaultVPC
	}
	vpcID := c.Params.Or("VpcId", c.Net.DefaultVPC.VpcID)
	if _, err := c.vpc(vpcID); err != nil {
		return nil, err
	}
	if len(name) > 255 || len(name) >= 3 && name[:3] == "sg-" {
		return nil, query.Errorf("InvalidParameterValue", "Invalid security group name '%s'. Group names are up to 255 characters long and must not begin with sg-.", name)
	}
	for _, g := range c.Net.Groups.All() {
		if g.Name == name && g.VpcID == vpcID {
			return nil, query.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, vpcID)
		}
	}
	tags, err := c.TagsFor("security-group")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	id := c.IDs.Next("sg")
	g := &Group{
		GroupID: id, Tags: tags, VpcID: vpcID, OwnerID: c.Account, Name: name, Description: c.Params.Get("GroupDescription"),
		Arn: fmt.Sprintf("arn:aws:ec2:%s:%s:security-group/%s", c.Net.Name, c.Account, id), createdAt: c.Now,
	}
	g.rules = []*rule{{RuleID: c.IDs.Next("sgr"), GroupID: id, OwnerID: g.OwnerID, Egress: true, Protocol: "-1", From: -1, To: -1, Cidr4: "0.0.0.0/0"}}
	c.Net.Groups.Put(id, g)
	return struct {
		ID   string      `xml:"groupId"`
		Tags api.TagList `xml:"tagSet"`
		Arn  string      `xml:"securityGroupArn"`
	}{id, g.Tags, g.Arn}, nil
}

func describeSecurityGroups(c *Call) (any, error) {
	ids, names := c.Params.List("GroupId"), c.Params.List("GroupName")
	for _, id := range ids {
		if _, err := c.group(id); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if _, err := c.groupNamed(name); err != nil {
			return nil, err
		}
	}
	var found []groupInfo
	for _, g := range c.Net.Groups.All() {
		var cidrs []string
		for _, r := range g.rules {
			if !r.Egress && r.Cidr4 != "" {
				cidrs = append(cidrs, r.Cidr4)
			}
		}
		ok, err := c.Matches(g.Tags, func(name string) ([]string, bool) {
			if name == "ip-permission.cidr" {
				return cidrs, true
			}
			value, ok := map[string]string{"group-id": g.GroupID, "group-name": g.Name, "vpc-id": g.VpcID, "owner-id": g.OwnerID, "description": g.Description}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && !c.IsNew(g.createdAt) && api.Contains(ids, g.GroupID) && api.Contains(names, g.Name) {
			found = append(found, groupInfo{g.GroupID, joined(g.rules, true), g.Tags, g.VpcID, g.Arn, g.OwnerID, g.Name, g.Description, joined(g.rules, false)})
		}
	}
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Groups query.Set[groupInfo] `xml:"securityGroupInfo"`
		Next   string               `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func deleteSecurityGroup(c *Call) (any, error) {
	g, err := c.requestedGroup()
	if err != nil {
		return nil, err
	}
	if g.Seeded {
		return nil, query.Errorf("CannotDelete", "the specified group: %q name: %q cannot be deleted by a user", g.GroupID, g.Name)
	}
	if c.InUse(g.GroupID) {
		return nil, query.Errorf("DependencyViolation", "resource %s has a dependent object", g.GroupID)
	}
	for _, other := range c.Net.Groups.All() {
		for _, r := range other.rules {
			if other != g && r.Peer != nil && r.Peer.GroupID == g.GroupID {
				return nil, query.Errorf("DependencyViolation", "resource %s has a dependent object", g.GroupID)
			}
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.Net.Groups.Remove(g.GroupID)
	return struct {
		Return bool   `xml:"return"`
		ID     string `xml:"groupId"`
	}{true, g.GroupID}, nil
}
