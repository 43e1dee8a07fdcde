// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/machines"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/network"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/store"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type reservation struct {
	ID        string                     `xml:"reservationId"`
	OwnerID   string                     `xml:"ownerId"`
	Groups    query.Set[network.GroupID] `xml:"groupSet"`
	Instances query.Set[*instanceT]      `xml:"instancesSet"`
}

func runInstances(c *call) (any, error) {
	minCount, err := c.Params.Int("MinCount", 1)
	if err != nil {
		return nil, err
	}
	maxCount, err := c.Params.Int("MaxCount", minCount)
	if err != nil {
		return nil, err
	}
	if minCount < 1 || maxCount < minCount {
		return nil, query.Errorf("InvalidParameterValue", "Invalid value for MinCount and MaxCount: 1 <= %d <= %d does not hold", minCount, maxCount)
	}
	ids, again, err := c.FindByToken()
	if err != nil {
		return nil, err
	}
	var made []*instanceT
	if again {
		for _, id := range ids {
			if i, ok := c.r.instances.Get(id); ok {
				made = append(made, i)
			}
		}
	} else {
		p, err := c.withTemplate(c.Params)
		if err != nil {
			return nil, err
		}
		if made, err = c.launch(p, maxCount); err != nil {
			return nil, err
		}
		for _, i := range made {
			ids = append(ids, i.InstanceID)
		}
		c.StoreToken(ids)
	}
	out := reservation{OwnerID: c.s.cfg.AccountID, Instances: query.SetOf(made...)}
	if len(made) > 0 {
		out.ID = made[0].reservation
	}
	return out, nil
}

// launch creates instances from the parameters of RunInstances.
func (c *call) launch(p query.Params, count int) ([]*instanceT, error) {
	if p.Get("ImageId") == "" {
		return nil, query.Errorf("MissingParameter", "The request must contain the parameter ImageId")
	}
	img, err := c.image(p.Get("ImageId"))
	if err != nil {
		return nil, err
	}
	owner := c.ownerOf(img)
	if owner != c.r && slices.ContainsFunc(img.Devices.Items, func(m mapping) bool { return m.Ebs != nil && m.Ebs.Encrypted }) {
		return nil, query.Errorf("UnsupportedOperation", "The rehearsal does not launch instances of the encrypted image %s, which another account shares.", img.ImageID)
	}
	if img.State != "available" {
		return nil, query.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available", img.ImageID)
	}
	kind, err := catalog.FindType(p.Or("InstanceType", "m1.small"))
	if err != nil {
		return nil, err
	}
	if kind.Arch != img.Architecture {
		return nil, query.Errorf("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.", kind.Arch, img.Architecture)
	}
	card := query.Params{}
	if cards := p.Items("NetworkInterface"); len(cards) > 0 {
		card = cards[0]
	}
	net, err := c.Place(p, card, kind)
	if err != nil {
		return nil, err
	}
	groups, err := c.GroupsFor(net, append(p.List("SecurityGroupId"), card.List("SecurityGroupId")...), p.List("SecurityGroup"))
	if err != nil {
		return nil, err
	}
	var authorized []byte
	if name := p.Get("KeyName"); name != "" {
		key, err := c.Key(name)
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
	if t := market.Get("MarketType"); t != "" && t != "spot" && t != capacityBlock {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter MarketType is invalid.", t)
	}
	var reservedCapacity *capacityT
	switch market.Get("MarketType") {
	case "":
		reservedCapacity, err = c.reserve(p.Sub("CapacityReservationSpecification"), kind, net.Zone)
	case capacityBlock:
		reservedCapacity, err = c.block(p.Sub("CapacityReservationSpecification"), kind, net.Zone)
	}
	if err != nil {
		return nil, err
	}
	role, err := c.profile(p.Sub("IamInstanceProfile"))
	if err != nil {
		return nil, err
	}
	if err := c.checkMaxPrice(market, kind, net); err != nil {
		return nil, err
	}
	tags, volumeTags, spotTags := api.TagList{}, api.TagList{}, api.TagList{}
	for name, l := range map[string]*api.TagList{"instance": &tags, "volume": &volumeTags, "spot-instances-request": &spotTags} {
		if *l, err = api.TagsIn(p, name); err != nil {
			return nil, err
		}
	}
	meta, err := metadataOf(metadataOptions{"applied", "optional", 1, "enabled", "disabled", "disabled"}, p.Sub("MetadataOptions"), img)
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}

	img.launched = c.Now
	res := c.s.ids.Next("r")
	var made []*instanceT
	for n := range count {
		i := &instanceT{
			Architecture: img.Architecture, ClientToken: p.Get("ClientToken"), EbsOptimized: p.Bool("EbsOptimized", false), EnaSupport: img.EnaSupport,
			Hypervisor: "xen", RootName: img.RootName, RootType: "ebs", Groups: query.SetOf(groups...), SourceDest: true,
			Tags: tags.Clone(), VirtType: "hvm", Cores: kind.Cores(), Metadata: meta, Platform: img.Platform, UsageOp: img.UsageOp,
			InstanceID: c.s.ids.Next("i"), ImageID: img.ImageID, State: pending, KeyName: p.Get("KeyName"), LaunchIndex: n, InstanceType: kind.Name,
			Launched: api.Stamp(c.Now), Placement: placement{net.Zone, p.Get("Placement.GroupName"), p.Or("Placement.Tenancy", "default")},
			Monitoring: monitoring{"disabled"}, SubnetID: net.SubnetID, VpcID: net.VpcID,
			reservation: res, createdAt: c.Now, address: c.s.ids.NextAddress(), public: card.Bool("AssociatePublicIpAddress", net.MapPublic),
			Profile: role, onShutdown: p.Or("InstanceInitiatedShutdownBehavior", "stop"), protected: p.Bool("DisableApiTermination", false),
			userData: p.Get("UserData"), layer: img.layer(owner), login: img.login, queue: machines.NewQueue(c.s.mu, c.s.cfg.Host, c.s.cfg.Log),
		}
		if p.Bool("Monitoring.Enabled", false) {
			i.Monitoring.State = "enabled"
		}
		switch market.Get("MarketType") {
		case capacityBlock:
			i.Lifecycle = capacityBlock
		case "spot":
			i.Lifecycle, i.SpotRequestID, i.spotTags = "spot", "sir-"+store.HashID("", i.InstanceID)[1:9], spotTags.Clone()
		}
		i.nic = c.newNic(i, net, groups)
		i.Interfaces = query.SetOf(i.nic)
		i.setAddresses(false)
		for _, d := range disks {
			v := c.newVolume(d, net.Zone)
			v.Tags = volumeTags.Clone()
			i.attach(v, d.name, d.deleteOnTermination, c.Now)
		}
		if reservedCapacity != nil {
			reservedCapacity.Available--
			i.reserved, i.CapacityID = reservedCapacity, reservedCapacity.ID
		}
		i.meter = &meter{instance: i, region: c.r.Name}
		c.s.meters = append(c.s.meters, i.meter)
		c.r.instances.Put(i.InstanceID, i)
		end := c.endOfLaunch(p)
		if slices.ContainsFunc(disks, func(d disk) bool { return d.encrypted && !c.usableKey(d.kms) }) {
			end = errKeyUnusable
		}
		i.transition = &transition{to: running, at: c.Now.Add(c.s.cfg.Pace.Running)}
		if end != nil {
			i.transition.job = &machines.Job{Done: true, Err: end}
		} else {
			i.transition.job = c.s.launchMachine(i, authorized, userData)
		}
		made = append(made, i)
	}
	return made, nil
}

// profile returns the instance profile of a launch, or nil without one.
func (c *call) profile(p query.Params) (*profile, error) {
	name := p.Or("Name", afterSlash(p.Get("Arn")))
	if name == "" {
		return nil, nil
	}
	if c.s.cfg.Profile == nil {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", name)
	}
	arn, id, err := c.s.cfg.Profile(name)
	if err != nil {
		return nil, err
	}
	return &profile{arn, id}, nil
}

func afterSlash(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

func (c *call) newNic(i *instanceT, net *network.Subnet, groups []network.GroupID) *nic {
	sum := sha256.Sum256([]byte(i.InstanceID))
	return &nic{
		Attachment: attachment{Time: api.Stamp(c.Now), ID: c.s.ids.Next("eni-attach"), Delete: true, Status: "attached"},
		Groups:     query.SetOf(groups...), Mac: fmt.Sprintf("0a:%02x:%02x:%02x:%02x:%02x", sum[0], sum[1], sum[2], sum[3], sum[4]),
		InterfaceID: c.s.ids.Next("eni"), OwnerID: c.s.cfg.AccountID, SourceDest: true, Status: "in-use", SubnetID: net.SubnetID,
		VpcID: net.VpcID, Kind: "interface", PrivateIP: i.address,
	}
}

// metadataOf applies the metadata options of a request to the current ones.
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
