// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type group struct {
	GroupID     string
	Tags        tagList
	VpcID       string
	Arn         string
	OwnerID     string
	Name        string
	Description string

	rules  []*rule
	seeded bool
}

// groupInfo is a group on the wire: its rules joined to permissions.
type groupInfo struct {
	GroupID     string                  `xml:"groupId"`
	Egress      query.Set[ipPermission] `xml:"ipPermissionsEgress"`
	Tags        tagList                 `xml:"tagSet"`
	VpcID       string                  `xml:"vpcId"`
	Arn         string                  `xml:"securityGroupArn"`
	OwnerID     string                  `xml:"ownerId"`
	Name        string                  `xml:"groupName"`
	Description string                  `xml:"groupDescription"`
	Ingress     query.Set[ipPermission] `xml:"ipPermissions"`
}

func (c *call) group(id string) (*group, error) {
	if !wellFormed(id, "sg") {
		return nil, query.Errorf("InvalidGroupId.Malformed", "Invalid id: %q (expecting \"sg-...\")", id)
	}
	if g, ok := c.r.groups.get(id); ok {
		return g, nil
	}
	return nil, query.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

func (c *call) groupNamed(name string) (*group, error) {
	for _, g := range c.r.groups.all() {
		if g.Name == name {
			return g, nil
		}
	}
	return nil, query.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, c.r.vpc.VpcID)
}

// asked returns the group that GroupId or GroupName name.
func (c *call) askedGroup() (*group, error) {
	switch {
	case c.p.Has("GroupId"):
		return c.group(c.p.Get("GroupId"))
	case c.p.Has("GroupName"):
		return c.groupNamed(c.p.Get("GroupName"))
	}
	return nil, query.Errorf("MissingParameter", "The request must contain the parameter groupName or groupId")
}

// groupsFor returns the groups of a launch, the default one where none is asked for.
func (c *call) groupsFor(ids, names []string) ([]groupID, error) {
	var out []groupID
	for _, id := range ids {
		g, err := c.group(id)
		if err != nil {
			return nil, err
		}
		out = append(out, groupID{g.GroupID, g.Name})
	}
	if len(ids) == 0 && len(names) == 0 {
		names = []string{"default"}
	}
	for _, name := range names {
		g, err := c.groupNamed(name)
		if err != nil {
			return nil, err
		}
		out = append(out, groupID{g.GroupID, g.Name})
	}
	return out, nil
}

func createSecurityGroup(c *call) (any, error) {
	name := c.p.Get("GroupName")
	vpcID := c.p.Or("VpcId", c.r.vpc.VpcID)
	if vpcID != c.r.vpc.VpcID {
		return nil, query.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", vpcID)
	}
	if len(name) > 255 || len(name) >= 3 && name[:3] == "sg-" {
		return nil, query.Errorf("InvalidParameterValue", "Invalid security group name '%s'. Group names are up to 255 characters long and must not begin with sg-.", name)
	}
	for _, g := range c.r.groups.all() {
		if g.Name == name {
			return nil, query.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, vpcID)
		}
	}
	tags, err := c.tagsFor("security-group")
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	id := c.s.ids.next("sg")
	g := &group{
		GroupID: id, Tags: tags, VpcID: vpcID, OwnerID: c.s.cfg.AccountID, Name: name, Description: c.p.Get("GroupDescription"),
		Arn: fmt.Sprintf("arn:aws:ec2:%s:%s:security-group/%s", c.r.name, c.s.cfg.AccountID, id),
	}
	g.rules = []*rule{{RuleID: c.s.ids.next("sgr"), GroupID: id, OwnerID: g.OwnerID, Egress: true, Protocol: "-1", From: -1, To: -1, Cidr4: "0.0.0.0/0"}}
	c.r.groups.put(id, g)
	return struct {
		ID   string  `xml:"groupId"`
		Tags tagList `xml:"tagSet"`
		Arn  string  `xml:"securityGroupArn"`
	}{id, g.Tags, g.Arn}, nil
}

func describeSecurityGroups(c *call) (any, error) {
	ids, names := c.p.List("GroupId"), c.p.List("GroupName")
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
	for _, g := range c.r.groups.all() {
		var cidrs []string
		for _, r := range g.rules {
			if !r.Egress && r.Cidr4 != "" {
				cidrs = append(cidrs, r.Cidr4)
			}
		}
		ok, err := c.matches(g.Tags, func(name string) ([]string, bool) {
			if name == "ip-permission.cidr" {
				return cidrs, true
			}
			value, ok := map[string]string{"group-id": g.GroupID, "group-name": g.Name, "vpc-id": g.VpcID, "owner-id": g.OwnerID, "description": g.Description}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && contains(ids, g.GroupID) && contains(names, g.Name) {
			found = append(found, groupInfo{g.GroupID, joined(g.rules, true), g.Tags, g.VpcID, g.Arn, g.OwnerID, g.Name, g.Description, joined(g.rules, false)})
		}
	}
	set, next, err := page(c, found, 5)
	return struct {
		Groups query.Set[groupInfo] `xml:"securityGroupInfo"`
		Next   string               `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func deleteSecurityGroup(c *call) (any, error) {
	g, err := c.askedGroup()
	if err != nil {
		return nil, err
	}
	if g.seeded {
		return nil, query.Errorf("CannotDelete", "the specified group: %q name: %q cannot be deleted by a user", g.GroupID, g.Name)
	}
	for _, i := range c.r.instances.all() {
		for _, used := range i.Groups.Items {
			if used.ID == g.GroupID {
				return nil, query.Errorf("DependencyViolation", "resource %s has a dependent object", g.GroupID)
			}
		}
	}
	for _, other := range c.r.groups.all() {
		for _, r := range other.rules {
			if other != g && r.Peer != nil && r.Peer.GroupID == g.GroupID {
				return nil, query.Errorf("DependencyViolation", "resource %s has a dependent object", g.GroupID)
			}
		}
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	c.r.groups.remove(g.GroupID)
	return struct {
		Return bool   `xml:"return"`
		ID     string `xml:"groupId"`
	}{true, g.GroupID}, nil
}
