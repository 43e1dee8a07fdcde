// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type reservation struct {
	ID        string                `xml:"reservationId"`
	OwnerID   string                `xml:"ownerId"`
	Groups    query.Set[groupID]    `xml:"groupSet"`
	Instances query.Set[*instanceT] `xml:"instancesSet"`
}

func runInstances(c *call) (any, error) {
	least, err := c.p.Int("MinCount", 1)
	if err != nil {
		return nil, err
	}
	most, err := c.p.Int("MaxCount", least)
	if err != nil {
		return nil, err
	}
	if least < 1 || most < least {
		return nil, query.Errorf("InvalidParameterValue", "Invalid value for MinCount and MaxCount: 1 <= %d <= %d does not hold", least, most)
	}
	ids, again, err := c.remember()
	if err != nil {
		return nil, err
	}
	var made []*instanceT
	if again {
		for _, id := range ids {
			if i, ok := c.r.instances.get(id); ok {
				made = append(made, i)
			}
		}
	} else {
		p, err := c.withTemplate(c.p)
		if err != nil {
			return nil, err
		}
		if made, err = c.launch(p, most); err != nil {
			return nil, err
		}
		for _, i := range made {
			ids = append(ids, i.InstanceID)
		}
		c.keep(ids)
	}
	out := reservation{OwnerID: c.s.cfg.AccountID, Instances: query.SetOf(made...)}
	if len(made) > 0 {
		out.ID = made[0].reservation
	}
	return out, nil
}

// remember returns what an earlier call with the same client token made.
func (c *call) remember() (ids []string, again bool, err error) {
	token := c.p.Get("ClientToken")
	if token == "" {
		return nil, false, nil
	}
	r, ok := c.r.tokens[c.action+" "+token]
	if !ok {
		return nil, false, nil
	}
	if !r.params.Equal(c.p) {
		return nil, false, query.Errorf("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
	}
	return r.ids, true, nil
}

// keep remembers what this call made under its client token.
func (c *call) keep(ids []string) {
	if token := c.p.Get("ClientToken"); token != "" {
		c.r.tokens[c.action+" "+token] = &remembered{c.p, ids}
	}
}

// launch makes instances as the parameters of RunInstances say.
func (c *call) launch(p query.Params, count int) ([]*instanceT, error) {
	if p.Get("ImageId") == "" {
		return nil, query.Errorf("MissingParameter", "The request must contain the parameter ImageId")
	}
	img, err := c.image(p.Get("ImageId"))
	if err != nil {
		return nil, err
	}
	if img.State != "available" {
		return nil, query.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available", img.ImageID)
	}
	kind, err := findType(p.Or("InstanceType", "m1.small"))
	if err != nil {
		return nil, err
	}
	if kind.arch != img.Architecture {
		return nil, query.Errorf("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.", kind.arch, img.Architecture)
	}
	card := query.Params{}
	if cards := p.Items("NetworkInterface"); len(cards) > 0 {
		card = cards[0]
	}
	net, err := c.place(p, card, kind)
	if err != nil {
		return nil, err
	}
	groups, err := c.groupsFor(append(p.List("SecurityGroupId"), card.List("SecurityGroupId")...), p.List("SecurityGroup"))
	if err != nil {
		return nil, err
	}
	var authorized []byte
	if name := p.Get("KeyName"); name != "" {
		key, err := c.key(name)
		if err != nil {
			return nil, err
		}
		authorized = []byte(key.PublicKey)
	}
	userData, err := p.Blob("UserData")
	if err != nil {
		return nil, err
	}
	if len(userData) > 16384 {
		return nil, query.Errorf("InvalidParameterValue", "User data is limited to 16384 bytes")
	}
	disks, err := c.disks(img, p.Items("BlockDeviceMapping"))
	if err != nil {
		return nil, err
	}
	market := p.Sub("InstanceMarketOptions")
	if t := market.Get("MarketType"); t != "" && t != "spot" && t != "capacity-block" {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter MarketType is invalid.", t)
	}
	var room *capacityT
	if market.Get("MarketType") == "" {
		if room, err = c.reserve(p.Sub("CapacityReservationSpecification"), kind, net.Zone); err != nil {
			return nil, err
		}
	}
	if err := c.afford(market, kind, net); err != nil {
		return nil, err
	}
	tags, volumeTags, spotTags := tagList{}, tagList{}, tagList{}
	for name, l := range map[string]*tagList{"instance": &tags, "volume": &volumeTags, "spot-instances-request": &spotTags} {
		if *l, err = tagsIn(p, name); err != nil {
			return nil, err
		}
	}
	meta, err := metadataOf(metadataOptions{"applied", "optional", 1, "enabled", "disabled", "disabled"}, p.Sub("MetadataOptions"), img)
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}

	img.launched = c.now
	res := c.s.ids.next("r")
	var made []*instanceT
	for n := range count {
		i := &instanceT{
			Architecture: img.Architecture, ClientToken: p.Get("ClientToken"), EbsOptimized: p.Bool("EbsOptimized", false), EnaSupport: img.EnaSupport,
			Hypervisor: "xen", RootName: img.RootName, RootType: "ebs", Groups: query.SetOf(groups...), SourceDest: true,
			Tags: tags.clone(), VirtType: "hvm", Cores: kind.cores(), Metadata: meta, Platform: img.Platform, UsageOp: img.UsageOp,
			InstanceID: c.s.ids.next("i"), ImageID: img.ImageID, State: pending, KeyName: p.Get("KeyName"), LaunchIndex: n, InstanceType: kind.name,
			Launched: stamp(c.now), Placement: placement{net.Zone, p.Get("Placement.GroupName"), p.Or("Placement.Tenancy", "default")},
			Monitoring: monitoring{"disabled"}, SubnetID: net.SubnetID, VpcID: net.VpcID,
			reservation: res, born: c.now, address: c.s.ids.nextAddress(), public: card.Bool("AssociatePublicIpAddress", net.MapPublic),
			onShutdown: p.Or("InstanceInitiatedShutdownBehavior", "stop"), protected: p.Bool("DisableApiTermination", false),
			userData: p.Get("UserData"), layer: img.layer(c.r), login: img.login, box: c.s.newBox(),
		}
		if p.Bool("Monitoring.Enabled", false) {
			i.Monitoring.State = "enabled"
		}
		if name := p.Or("IamInstanceProfile.Name", afterSlash(p.Get("IamInstanceProfile.Arn"))); name != "" {
			i.Profile = &profile{fmt.Sprintf("arn:aws:iam::%s:instance-profile/%s", c.s.cfg.AccountID, name), "AIPA" + strings.ToUpper(hashID("", name)[1:])}
		}
		if market.Get("MarketType") == "spot" {
			i.Lifecycle, i.SpotRequestID, i.spotTags = "spot", "sir-"+hashID("", i.InstanceID)[1:9], spotTags.clone()
		}
		i.nic = c.newNic(i, net, groups)
		i.Interfaces = query.SetOf(i.nic)
		i.setAddresses(false)
		for _, d := range disks {
			v := c.newVolume(d, net.Zone)
			v.Tags = volumeTags.clone()
			i.attach(v, d.name, d.onEnd, c.now)
		}
		if room != nil {
			room.Available--
			i.reserved, i.CapacityID = room, room.ID
		}
		i.meter = &meter{instance: i, region: c.r.name}
		c.s.meters = append(c.s.meters, i.meter)
		c.r.instances.put(i.InstanceID, i)
		i.turn = &turn{running, c.now.Add(c.s.cfg.Pace.Running), c.s.launchMachine(c.r, i, authorized, userData)}
		made = append(made, i)
	}
	return made, nil
}

func afterSlash(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// place finds the subnet of a launch: that of the request, else the default
// one of the zone asked for, else that of the first zone with the type.
func (c *call) place(p, card query.Params, kind *typeData) (*subnet, error) {
	zone := p.Get("Placement.AvailabilityZone")
	if id := card.Or("SubnetId", p.Get("SubnetId")); id != "" {
		net, err := c.subnet(id)
		if err != nil {
			return nil, err
		}
		if zone != "" && zone != net.Zone {
			return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter availabilityZone is invalid. The subnet '%s' is in the Availability Zone '%s'.", zone, id, net.Zone)
		}
		zone = net.Zone
	}
	var offered []string
	for _, net := range c.r.subnets.all() {
		if kind.offeredIn(net.Zone) {
			offered = append(offered, net.Zone)
		}
	}
	for _, net := range c.r.subnets.all() {
		if zone != "" && net.Zone != zone {
			continue
		}
		if contains(offered, net.Zone) {
			return net, nil
		}
		if zone != "" {
			return nil, query.Errorf("Unsupported", "Your requested instance type (%s) is not supported in your requested Availability Zone (%s). Please retry your request by not specifying an Availability Zone or choosing %s.", kind.name, zone, strings.Join(offered, ", "))
		}
	}
	return nil, query.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", zone)
}

func (c *call) newNic(i *instanceT, net *subnet, groups []groupID) *nic {
	sum := sha256.Sum256([]byte(i.InstanceID))
	return &nic{
		Attachment: attachment{Time: stamp(c.now), ID: c.s.ids.next("eni-attach"), Delete: true, Status: "attached"},
		Groups:     query.SetOf(groups...), Mac: fmt.Sprintf("0a:%02x:%02x:%02x:%02x:%02x", sum[0], sum[1], sum[2], sum[3], sum[4]),
		InterfaceID: c.s.ids.next("eni"), OwnerID: c.s.cfg.AccountID, SourceDest: true, Status: "in-use", SubnetID: net.SubnetID,
		VpcID: net.VpcID, Kind: "interface", PrivateIP: i.address,
	}
}

// metadataOf applies the metadata options of a request to those that hold.
func metadataOf(m metadataOptions, p query.Params, img *image) (metadataOptions, error) {
	if img != nil && img.Imds == "v2.0" {
		m.Tokens, m.HopLimit = "required", 2
	}
	m.Tokens, m.Endpoint = p.Or("HttpTokens", m.Tokens), p.Or("HttpEndpoint", m.Endpoint)
	m.IPv6, m.Tags = p.Or("HttpProtocolIpv6", m.IPv6), p.Or("InstanceMetadataTags", m.Tags)
	var err error
	m.HopLimit, err = p.Int("HttpPutResponseHopLimit", m.HopLimit)
	switch {
	case err != nil:
	case m.Tokens != "optional" && m.Tokens != "required":
		err = query.Errorf("InvalidParameterValue", "Value (%s) for parameter HttpTokens is invalid.", m.Tokens)
	case m.HopLimit < 1 || m.HopLimit > 64:
		err = query.Errorf("InvalidParameterValue", "Value (%d) for parameter HttpPutResponseHopLimit is invalid. Valid values are between 1 and 64.", m.HopLimit)
	}
	return m, err
}
