// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/network"
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

// requestedInstances returns the requested instances.
func (c *call) requestedInstances() ([]*instanceT, error) {
	requested := c.Params.List("InstanceId")
	if _, err := c.instancesByID(requested); err != nil {
		return nil, err
	}
	var found []*instanceT
	for _, i := range c.r.instances.All() {
		ok, err := c.Matches(i.Tags, i.filter)
		if err != nil {
			return nil, err
		}
		if ok && api.Contains(requested, i.InstanceID) && !c.IsNew(i.createdAt) {
			found = append(found, i)
		}
	}
	return found, nil
}

func describeInstances(c *call) (any, error) {
	if c.Params.Has("InstanceId") && c.Params.Has("MaxResults") {
		return nil, query.Errorf("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	found, err := c.requestedInstances()
	if err != nil {
		return nil, err
	}
	set, next, err := api.Page(c.Request, found, 5)
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

// statusChecks returns the two status checks of a running instance; other instances
// have none.
func statusChecks(i *instanceT) reachability {
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
	found, err := c.instancesByID(c.Params.List("InstanceId"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		found = c.r.instances.All()
	}
	var out []instanceStatus
	for _, i := range found {
		ok, err := c.Matches(i.Tags, func(name string) ([]string, bool) {
			switch name {
			case "instance-status.status", "system-status.status":
				return []string{statusChecks(i).Status}, true
			case "instance-status.reachability", "system-status.reachability":
				return []string{"passed"}, true
			}
			return i.filter(name)
		})
		if err != nil {
			return nil, err
		}
		if ok && !c.IsNew(i.createdAt) && (i.State == running || c.Params.Bool("IncludeAllInstances", false)) {
			out = append(out, instanceStatus{Zone: i.Placement.Zone, ID: i.InstanceID, State: i.State, Instance: statusChecks(i), System: statusChecks(i)})
		}
	}
	set, next, err := api.Page(c.Request, out, 5)
	return struct {
		Status query.Set[instanceStatus] `xml:"instanceStatusSet"`
		Next   string                    `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func describeInstanceAttribute(c *call) (any, error) {
	i, err := c.instance(c.Params.Get("InstanceId"))
	if err != nil {
		return nil, err
	}
	answer := struct {
		ID        string                      `xml:"instanceId"`
		Type      *textValue                  `xml:"instanceType"`
		Shutdown  *textValue                  `xml:"instanceInitiatedShutdownBehavior"`
		UserData  *textValue                  `xml:"userData"`
		Root      *textValue                  `xml:"rootDeviceName"`
		Sriov     *textValue                  `xml:"sriovNetSupport"`
		Protected *api.BoolValue              `xml:"disableApiTermination"`
		Ena       *api.BoolValue              `xml:"enaSupport"`
		Ebs       *api.BoolValue              `xml:"ebsOptimized"`
		Source    *api.BoolValue              `xml:"sourceDestCheck"`
		Groups    *query.Set[network.GroupID] `xml:"groupSet"`
		Devices   *query.Set[*device]         `xml:"blockDeviceMapping"`
	}{ID: i.InstanceID}
	switch name := c.Params.Get("Attribute"); name {
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
		answer.Protected = &api.BoolValue{Value: i.protected}
	case "enaSupport":
		answer.Ena = &api.BoolValue{Value: i.EnaSupport}
	case "ebsOptimized":
		answer.Ebs = &api.BoolValue{Value: i.EbsOptimized}
	case "sourceDestCheck":
		answer.Source = &api.BoolValue{Value: i.SourceDest}
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
	i, err := c.instance(c.Params.Get("InstanceId"))
	if err != nil {
		return nil, err
	}
	p := c.Params
	if a := p.Get("Attribute"); a != "" { // older form of the request
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
		if groups, err = c.GroupsFor(nil, p.List("GroupId"), nil); err != nil {
			return nil, err
		}
	}
	kind := i.InstanceType
	if p.Has("InstanceType") {
		t, err := catalog.FindType(p.Or("InstanceType.Value", p.Get("InstanceType")))
		if err != nil {
			return nil, err
		}
		kind = t.Name
	}
	if err := c.Commit(); err != nil {
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
				if v, ok := c.r.volumes.Get(d.Ebs.VolumeID); ok {
					v.Attachments.Items[0].Delete = d.Ebs.Delete
				}
			}
		}
	}
	return api.Success, nil
}

func modifyInstanceMetadataOptions(c *call) (any, error) {
	i, err := c.instance(c.Params.Get("InstanceId"))
	if err != nil {
		return nil, err
	}
	meta, err := metadataOf(i.Metadata, c.Params, nil)
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	i.Metadata = meta
	return struct {
		ID      string          `xml:"instanceId"`
		Options metadataOptions `xml:"instanceMetadataOptions"`
	}{i.InstanceID, meta}, nil
}

type textValue struct {
	Value string `xml:"value"`
}
