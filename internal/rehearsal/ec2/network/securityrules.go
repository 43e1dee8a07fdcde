// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package network

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type rule struct {
	RuleID      string      `xml:"securityGroupRuleId"`
	GroupID     string      `xml:"groupId"`
	OwnerID     string      `xml:"groupOwnerId"`
	Egress      bool        `xml:"isEgress"`
	Protocol    string      `xml:"ipProtocol"`
	From        int         `xml:"fromPort"`
	To          int         `xml:"toPort"`
	Cidr4       string      `xml:"cidrIpv4,omitempty"`
	Cidr6       string      `xml:"cidrIpv6,omitempty"`
	Prefix      string      `xml:"prefixListId,omitempty"`
	Peer        *peer       `xml:"referencedGroupInfo"`
	Description string      `xml:"description,omitempty"`
	Tags        api.TagList `xml:"tagSet"`
}

type peer struct {
	GroupID string `xml:"groupId"`
	UserID  string `xml:"userId"`
}

func (r *rule) same(o *rule) bool {
	samePeer := r.Peer == nil && o.Peer == nil || r.Peer != nil && o.Peer != nil && r.Peer.GroupID == o.Peer.GroupID
	return r.Egress == o.Egress && r.Protocol == o.Protocol && r.From == o.From && r.To == o.To && r.Cidr4 == o.Cidr4 && r.Cidr6 == o.Cidr6 && r.Prefix == o.Prefix && samePeer
}

func (r *rule) peerName() string {
	switch {
	case r.Cidr4 != "":
		return r.Cidr4
	case r.Cidr6 != "":
		return r.Cidr6
	case r.Peer != nil:
		return r.Peer.GroupID
	}
	return r.Prefix
}

// ipPermission contains the rules of one protocol and port range in
// DescribeSecurityGroups.
type ipPermission struct {
	Protocol string               `xml:"ipProtocol"`
	From     *int                 `xml:"fromPort"`
	To       *int                 `xml:"toPort"`
	Groups   query.Set[groupPeer] `xml:"groups"`
	Ranges   query.Set[ipRange]   `xml:"ipRanges"`
	Ranges6  query.Set[ip6Range]  `xml:"ipv6Ranges"`
	Prefixes query.Set[prefixID]  `xml:"prefixListIds"`
}

type groupPeer struct {
	Description string `xml:"description,omitempty"`
	UserID      string `xml:"userId"`
	GroupID     string `xml:"groupId"`
}

type ipRange struct {
	Description string `xml:"description,omitempty"`
	Cidr        string `xml:"cidrIp"`
}

type ip6Range struct {
	Description string `xml:"description,omitempty"`
	Cidr        string `xml:"cidrIpv6"`
}

type prefixID struct {
	Description string `xml:"description,omitempty"`
	ID          string `xml:"prefixListId"`
}

func joined(rules []*rule, egress bool) query.Set[ipPermission] {
	var out query.Set[ipPermission]
	index := map[string]int{}
	for _, r := range rules {
		if r.Egress != egress {
			continue
		}
		key := fmt.Sprint(r.Protocol, r.From, r.To)
		n, ok := index[key]
		if !ok {
			n = len(out.Items)
			index[key] = n
			p := ipPermission{Protocol: r.Protocol}
			if r.Protocol != "-1" {
				p.From, p.To = &r.From, &r.To
			}
			out.Items = append(out.Items, p)
		}
		p := &out.Items[n]
		switch {
		case r.Cidr4 != "":
			p.Ranges.Items = append(p.Ranges.Items, ipRange{r.Description, r.Cidr4})
		case r.Cidr6 != "":
			p.Ranges6.Items = append(p.Ranges6.Items, ip6Range{r.Description, r.Cidr6})
		case r.Peer != nil:
			p.Groups.Items = append(p.Groups.Items, groupPeer{r.Description, r.Peer.UserID, r.Peer.GroupID})
		default:
			p.Prefixes.Items = append(p.Prefixes.Items, prefixID{r.Description, r.Prefix})
		}
	}
	return out
}

// rulesIn parses the rules of a request in either of its two forms.
func (c *Call) rulesIn(g *Group, egress bool) ([]*rule, error) {
	perms := c.Params.Items("IpPermissions")
	if len(perms) == 0 && c.Params.Has("IpProtocol") {
		perms = []query.Params{{
			"IpProtocol": c.Params.Get("IpProtocol"), "FromPort": c.Params.Or("FromPort", "-1"), "ToPort": c.Params.Or("ToPort", "-1"), "IpRanges.1.CidrIp": c.Params.Get("CidrIp"),
		}}
	}
	if len(perms) == 0 {
		return nil, query.Errorf("MissingParameter", "The request must contain the parameter ipPermissions")
	}
	var out []*rule
	for _, p := range perms {
		base := rule{GroupID: g.GroupID, OwnerID: g.OwnerID, Egress: egress, Protocol: p.Get("IpProtocol")}
		if name, ok := map[string]string{"6": "tcp", "17": "udp", "1": "icmp"}[base.Protocol]; ok {
			base.Protocol = name
		}
		var err error
		if base.From, err = p.Int("FromPort", -1); err != nil {
			return nil, err
		}
		if base.To, err = p.Int("ToPort", -1); err != nil {
			return nil, err
		}
		switch base.Protocol {
		case "tcp", "udp":
			if base.From < 0 || base.To > 65535 || base.From > base.To {
				return nil, query.Errorf("InvalidParameterValue", "Invalid value '%d' for portRange. Must specify both from and to ports with TCP/UDP.", base.From)
			}
		case "icmp", "icmpv6":
		case "-1":
			base.From, base.To = -1, -1
		default:
			return nil, query.Errorf("InvalidParameterValue", "Invalid value '%s' for IP protocol. Unknown protocol.", base.Protocol)
		}
		add := func(description string, set func(*rule)) {
			r := base
			r.Description = description
			set(&r)
			out = append(out, &r)
		}
		before := len(out)
		for _, x := range p.Items("IpRanges") {
			cidr, err := netip.ParsePrefix(x.Get("CidrIp"))
			if err != nil || !cidr.Addr().Is4() {
				return nil, query.Errorf("InvalidParameterValue", "CIDR block %s is malformed", x.Get("CidrIp"))
			}
			add(x.Get("Description"), func(r *rule) { r.Cidr4 = cidr.Masked().String() })
		}
		for _, x := range p.Items("Ipv6Ranges") {
			cidr, err := netip.ParsePrefix(x.Get("CidrIpv6"))
			if err != nil || !cidr.Addr().Is6() {
				return nil, query.Errorf("InvalidParameterValue", "CIDR block %s is malformed", x.Get("CidrIpv6"))
			}
			add(x.Get("Description"), func(r *rule) { r.Cidr6 = cidr.Masked().String() })
		}
		for _, x := range p.Items("PrefixListIds") {
			add(x.Get("Description"), func(r *rule) { r.Prefix = x.Get("PrefixListId") })
		}
		for _, x := range p.Items("Groups") {
			from, err := c.group(x.Get("GroupId"))
			if err != nil {
				return nil, err
			}
			add(x.Get("Description"), func(r *rule) { r.Peer = &peer{from.GroupID, from.OwnerID} })
		}
		if len(out) == before {
			return nil, query.Errorf("MissingParameter", "The request must contain a source or a destination: CidrIp, CidrIpv6, GroupId or PrefixListId")
		}
	}
	return out, nil
}

func authorizeIngress(c *Call) (any, error) { return c.authorize(false) }
func authorizeEgress(c *Call) (any, error)  { return c.authorize(true) }

type rulesResponse struct {
	Return bool             `xml:"return"`
	Rules  query.Set[*rule] `xml:"securityGroupRuleSet"`
}

func (c *Call) authorize(egress bool) (any, error) {
	g, err := c.requestedGroup()
	if err != nil {
		return nil, err
	}
	rules, err := c.rulesIn(g, egress)
	if err != nil {
		return nil, err
	}
	tags, err := c.TagsFor("security-group-rule")
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		for _, have := range g.rules {
			if have.same(r) {
				return nil, query.Errorf("InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, from port: %d, to port: %d, ALLOW\" already exists", r.peerName(), r.Protocol, r.From, r.To)
			}
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	for _, r := range rules {
		r.RuleID, r.Tags = c.IDs.Next("sgr"), tags.Clone()
		g.rules = append(g.rules, r)
	}
	return rulesResponse{true, query.SetOf(rules...)}, nil
}

func revokeIngress(c *Call) (any, error) { return c.revoke(false) }
func revokeEgress(c *Call) (any, error)  { return c.revoke(true) }

func (c *Call) revoke(egress bool) (any, error) {
	g, err := c.requestedGroup()
	if err != nil {
		return nil, err
	}
	removed := map[*rule]bool{}
	if ids := c.Params.List("SecurityGroupRuleId"); len(ids) > 0 {
		for _, r := range g.rules {
			removed[r] = api.Contains(ids, r.RuleID) && r.Egress == egress
		}
	} else {
		rules, err := c.rulesIn(g, egress)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			found := false
			for _, have := range g.rules {
				if have.same(r) {
					removed[have], found = true, true
				}
			}
			if !found {
				return nil, query.Errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			}
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	var kept []*rule
	for _, r := range g.rules {
		if !removed[r] {
			kept = append(kept, r)
		}
	}
	g.rules = kept
	return api.Success, nil
}

func describeSecurityGroupRules(c *Call) (any, error) {
	requested := c.Params.List("SecurityGroupRuleId")
	var found []*rule
	for _, g := range c.Net.Groups.All() {
		for _, r := range g.rules {
			ok, err := c.Matches(r.Tags, func(name string) ([]string, bool) {
				value, ok := map[string]string{"group-id": r.GroupID, "security-group-rule-id": r.RuleID, "is-egress": strconv.FormatBool(r.Egress)}[name]
				return []string{value}, ok
			})
			if err != nil {
				return nil, err
			}
			if ok && api.Contains(requested, r.RuleID) {
				found = append(found, r)
			}
		}
	}
	if len(found) == 0 && len(requested) > 0 && !c.Params.Has("Filter") {
		return nil, query.Errorf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", requested[0])
	}
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Rules query.Set[*rule] `xml:"securityGroupRuleSet"`
		Next  string           `xml:"nextToken,omitempty"`
	}{set, next}, err
}
