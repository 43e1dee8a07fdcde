// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package resource

import (
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// autoScalingGroup is AWS::AutoScaling::AutoScalingGroup.
var autoScalingGroup = Type{
	Create: func(r *Request) (string, error) {
		p := GroupRequest(r)
		p["AutoScalingGroupName"] = r.name("AutoScalingGroupName", 255)
		tags := r.tags()
		for _, v := range tags[len(tags)-len(r.Tags):] { // those of the stack
			v.(map[string]any)["PropagateAtLaunch"] = "true" // tags returns maps
		}
		for key, value := range r.reserved() {
			tags = append(tags, map[string]any{"Key": key, "Value": value, "PropagateAtLaunch": "true"})
		}
		set(p, "Tags", tags, nil)
		return p["AutoScalingGroupName"], r.Client("autoscaling", r.Region, "CreateAutoScalingGroup", p, nil)
	},
	Update: func(r *Request) error {
		p := GroupRequest(r)
		p["AutoScalingGroupName"] = r.ID
		return r.Client("autoscaling", r.Region, "UpdateAutoScalingGroup", p, nil)
	},
	Delete: func(r *Request) (bool, error) {
		var found struct {
			Status []string `xml:"AutoScalingGroups>member>Status"`
			Names  []string `xml:"AutoScalingGroups>member>AutoScalingGroupName"`
		}
		one := query.Params{"AutoScalingGroupNames.1": r.ID}
		if err := r.Client("autoscaling", r.Region, "DescribeAutoScalingGroups", one, &found); err != nil || len(found.Names) == 0 {
			return err == nil, err
		}
		if len(found.Status) == 0 {
			err := r.Client("autoscaling", r.Region, "DeleteAutoScalingGroup", query.Params{"AutoScalingGroupName": r.ID, "ForceDelete": "true"}, nil)
			if err != nil {
				return false, err
			}
		}
		err := r.Client("autoscaling", r.Region, "DescribeAutoScalingGroups", one, &found)
		return err == nil && len(found.Names) == 0, err
	},
	Replaces: []string{"AutoScalingGroupName"},
}

// groupProperties are the properties that are parameters of UpdateAutoScalingGroup.
var groupProperties = []string{
	"MinSize", "MaxSize", "DesiredCapacity", "LaunchTemplate", "MixedInstancesPolicy", "AvailabilityZones", "HealthCheckType", "HealthCheckGracePeriod",
	"CapacityRebalance", "TerminationPolicies", "NewInstancesProtectedFromScaleIn", "DefaultInstanceWarmup", "MaxInstanceLifetime",
}

// GroupRequest returns the properties as parameters of CreateAutoScalingGroup and
// UpdateAutoScalingGroup.
func GroupRequest(r *Request) query.Params {
	p := query.Params{}
	for _, name := range groupProperties {
		if v, ok := r.Properties[name]; ok {
			set(p, name, v, nil)
		}
	}
	if cooldown := r.text("Cooldown", ""); cooldown != "" {
		p["DefaultCooldown"] = cooldown
	}
	if subnets := template.Texts(r.Properties["VPCZoneIdentifier"]); len(subnets) > 0 {
		p["VPCZoneIdentifier"] = strings.Join(subnets, ",")
	}
	return p
}

// Rolls reports whether an update of a group makes its instances obsolete.
func Rolls(r *Request) bool {
	return r.changed("LaunchTemplate") || r.changed("MixedInstancesPolicy") || r.changed("VPCZoneIdentifier")
}
