// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

func (i *instanceT) filter(name string) ([]string, bool) {
	var volumes, devices, groups, groupNames []string
	for _, d := range i.Devices.Items {
		volumes, devices = append(volumes, d.Ebs.VolumeID), append(devices, d.Name)
	}
	for _, g := range i.Groups.Items {
		groups, groupNames = append(groups, g.ID), append(groupNames, g.Name)
	}
	many := map[string][]string{
		"block-device-mapping.volume-id": volumes, "block-device-mapping.device-name": devices,
		"instance.group-id": groups, "instance.group-name": groupNames, "network-interface.group-id": groups,
	}
	if values, ok := many[name]; ok {
		return values, true
	}
	reason := ""
	if i.StateReason != nil {
		reason = i.StateReason.Code
	}
	value, ok := map[string]string{
		"instance-id": i.InstanceID, "instance-state-name": i.State.Name, "instance-state-code": strconv.Itoa(i.State.Code),
		"image-id": i.ImageID, "instance-type": i.InstanceType, "architecture": i.Architecture, "availability-zone": i.Placement.Zone,
		"placement-availability-zone": i.Placement.Zone, "client-token": i.ClientToken, "key-name": i.KeyName, "launch-time": i.Launched,
		"private-ip-address": i.PrivateIP, "ip-address": i.PublicIP, "reservation-id": i.reservation, "subnet-id": i.SubnetID, "vpc-id": i.VpcID,
		"spot-instance-request-id": i.SpotRequestID, "instance-lifecycle": i.Lifecycle, "root-device-name": i.RootName, "root-device-type": i.RootType,
		"tenancy": i.Placement.Tenancy, "virtualization-type": i.VirtType, "hypervisor": i.Hypervisor, "state-reason-code": reason,
		"owner-id": i.nic.OwnerID, "dns-name": i.PublicDNS, "private-dns-name": i.PrivateDNS, "source-dest-check": strconv.FormatBool(i.SourceDest),
	}[name]
	return []string{value}, ok
}

// pick returns the instances that the request asks for.
func (c *call) pick() ([]*instanceT, error) {
	asked := c.p.List("InstanceId")
	if _, err := c.instancesByID(asked); err != nil {
		return nil, err
	}
	var found []*instanceT
	for _, i := range c.r.instances.all() {
		ok, err := c.matches(i.Tags, i.filter)
		if err != nil {
			return nil, err
		}
		if ok && contains(asked, i.InstanceID) {
			found = append(found, i)
		}
	}
	return found, nil
}

func describeInstances(c *call) (any, error) {
	if c.p.Has("InstanceId") && c.p.Has("MaxResults") {
		return nil, query.Errorf("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	found, err := c.pick()
	if err != nil {
		return nil, err
	}
	set, next, err := page(c, found, 5)
	if err != nil {
		return nil, err
	}
	answer := struct {
		Reservations query.Set[*reservation] `xml:"reservationSet"`
		Next         string                  `xml:"nextToken,omitempty"`
	}{Next: next}
	byID := map[string]*reservation{}
	for _, i := range set.Items {
		r := byID[i.reservation]
		if r == nil {
			r = &reservation{ID: i.reservation, OwnerID: c.s.cfg.AccountID}
			byID[i.reservation] = r
			answer.Reservations.Items = append(answer.Reservations.Items, r)
		}
		r.Instances.Items = append(r.Instances.Items, i)
	}
	return answer, nil
}

type instanceStatus struct {
	Zone     string              `xml:"availabilityZone"`
	Events   query.Set[struct{}] `xml:"eventsSet"`
	ID       string              `xml:"instanceId"`
	State    state               `xml:"instanceState"`
	Instance reachability        `xml:"instanceStatus"`
	System   reachability        `xml:"systemStatus"`
}

type reachability struct {
	Status  string `xml:"status"`
	Details query.Set[struct {
		Name   string `xml:"name"`
		Status string `xml:"status"`
	}] `xml:"details"`
}

// reach returns the two checks of a running instance; others have none.
func reach(i *instanceT) reachability {
	if i.State != running {
		return reachability{Status: "not-applicable"}
	}
	r := reachability{Status: "ok"}
	r.Details.Items = append(r.Details.Items, struct {
		Name   string `xml:"name"`
		Status string `xml:"status"`
	}{"reachability", "passed"})
	return r
}

func describeInstanceStatus(c *call) (any, error) {
	found, err := c.instancesByID(c.p.List("InstanceId"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		found = c.r.instances.all()
	}
	var out []instanceStatus
	for _, i := range found {
		ok, err := c.matches(i.Tags, func(name string) ([]string, bool) {
			switch name {
			case "instance-status.status", "system-status.status":
				return []string{reach(i).Status}, true
			case "instance-status.reachability", "system-status.reachability":
				return []string{"passed"}, true
			}
			return i.filter(name)
		})
		if err != nil {
			return nil, err
		}
		if ok && (i.State == running || c.p.Bool("IncludeAllInstances", false)) {
			out = append(out, instanceStatus{Zone: i.Placement.Zone, ID: i.InstanceID, State: i.State, Instance: reach(i), System: reach(i)})
		}
	}
	set, next, err := page(c, out, 5)
	return struct {
		Status query.Set[instanceStatus] `xml:"instanceStatusSet"`
		Next   string                    `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func describeInstanceAttribute(c *call) (any, error) {
	i, err := c.instance(c.p.Get("InstanceId"))
	if err != nil {
		return nil, err
	}
	answer := struct {
		ID        string              `xml:"instanceId"`
		Type      *textValue          `xml:"instanceType"`
		Shutdown  *textValue          `xml:"instanceInitiatedShutdownBehavior"`
		UserData  *textValue          `xml:"userData"`
		Root      *textValue          `xml:"rootDeviceName"`
		Sriov     *textValue          `xml:"sriovNetSupport"`
		Protected *boolValue          `xml:"disableApiTermination"`
		Ena       *boolValue          `xml:"enaSupport"`
		Ebs       *boolValue          `xml:"ebsOptimized"`
		Source    *boolValue          `xml:"sourceDestCheck"`
		Groups    *query.Set[groupID] `xml:"groupSet"`
		Devices   *query.Set[*device] `xml:"blockDeviceMapping"`
	}{ID: i.InstanceID}
	switch name := c.p.Get("Attribute"); name {
	case "instanceType":
		answer.Type = &textValue{i.InstanceType}
	case "instanceInitiatedShutdownBehavior":
		answer.Shutdown = &textValue{i.onShutdown}
	case "userData":
		answer.UserData = &textValue{i.userData}
	case "rootDeviceName":
		answer.Root = &textValue{i.RootName}
	case "sriovNetSupport":
		answer.Sriov = &textValue{i.SriovNet}
	case "disableApiTermination":
		answer.Protected = &boolValue{i.protected}
	case "enaSupport":
		answer.Ena = &boolValue{i.EnaSupport}
	case "ebsOptimized":
		answer.Ebs = &boolValue{i.EbsOptimized}
	case "sourceDestCheck":
		answer.Source = &boolValue{i.SourceDest}
	case "groupSet":
		answer.Groups = &i.Groups
	case "blockDeviceMapping":
		answer.Devices = &i.Devices
	default:
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return answer, nil
}

func modifyInstanceAttribute(c *call) (any, error) {
	i, err := c.instance(c.p.Get("InstanceId"))
	if err != nil {
		return nil, err
	}
	p := c.p
	if a := p.Get("Attribute"); a != "" { // the older spelling
		name := map[string]string{
			"instanceType": "InstanceType", "userData": "UserData", "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
			"disableApiTermination": "DisableApiTermination", "enaSupport": "EnaSupport", "ebsOptimized": "EbsOptimized",
			"sriovNetSupport": "SriovNetSupport", "sourceDestCheck": "SourceDestCheck",
		}[a]
		p = query.Params{name + ".Value": p.Get("Value")}.Over(p)
	}
	for _, name := range []string{"InstanceType", "UserData", "EnaSupport", "SriovNetSupport", "EbsOptimized"} {
		if p.Has(name) && i.State != stopped {
			return nil, query.Errorf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.InstanceID)
		}
	}
	groups := i.Groups.Items
	if p.Has("GroupId") {
		if groups, err = c.groupsFor(p.List("GroupId"), nil); err != nil {
			return nil, err
		}
	}
	kind := i.InstanceType
	if p.Has("InstanceType") {
		t, err := findType(p.Or("InstanceType.Value", p.Get("InstanceType")))
		if err != nil {
			return nil, err
		}
		kind = t.name
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	i.InstanceType, i.Groups.Items, i.nic.Groups.Items = kind, groups, groups
	i.onShutdown = p.Or("InstanceInitiatedShutdownBehavior.Value", i.onShutdown)
	i.userData = p.Or("UserData.Value", i.userData)
	i.SriovNet = p.Or("SriovNetSupport.Value", i.SriovNet)
	i.protected = p.Bool("DisableApiTermination.Value", i.protected)
	i.EnaSupport = p.Bool("EnaSupport.Value", i.EnaSupport)
	i.EbsOptimized = p.Bool("EbsOptimized.Value", i.EbsOptimized)
	i.SourceDest = p.Bool("SourceDestCheck.Value", i.SourceDest)
	for _, m := range p.Items("BlockDeviceMapping") {
		for _, d := range i.Devices.Items {
			if d.Name == m.Get("DeviceName") {
				d.Ebs.Delete = m.Bool("Ebs.DeleteOnTermination", d.Ebs.Delete)
				if v, ok := c.r.volumes.get(d.Ebs.VolumeID); ok {
					v.Attachments.Items[0].Delete = d.Ebs.Delete
				}
			}
		}
	}
	return done{true}, nil
}

func modifyInstanceMetadataOptions(c *call) (any, error) {
	i, err := c.instance(c.p.Get("InstanceId"))
	if err != nil {
		return nil, err
	}
	meta, err := metadataOf(i.Metadata, c.p, nil)
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	i.Metadata = meta
	return struct {
		ID      string          `xml:"instanceId"`
		Options metadataOptions `xml:"instanceMetadataOptions"`
	}{i.InstanceID, meta}, nil
}
