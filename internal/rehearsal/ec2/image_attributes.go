// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

func modifyImageAttribute(c *call) (any, error) {
	v, err := c.ownImage()
	if err != nil {
		return nil, err
	}
	p, attribute := c.Params, c.Params.Get("Attribute")
	if attribute == "description" {
		p = query.Params{"Description.Value": p.Get("Value")}.Over(p)
	}
	shares := p.Has("LaunchPermission") || attribute == "launchPermission" || p.Has("UserId") || p.Has("UserGroup") || p.Has("OrganizationArn") || p.Has("OrganizationalUnitArn")
	switch {
	case !shares && !p.Has("Description.Value") && !p.Has("ImdsSupport.Value") && !p.Has("ProductCode"):
		return nil, query.Errorf("InvalidParameterCombination", "No attributes specified.")
	case p.Has("ImdsSupport.Value") && p.Get("ImdsSupport.Value") != "v2.0":
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter imdsSupport is invalid.", p.Get("ImdsSupport.Value"))
	case shares && v.State != "available":
		return nil, query.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available", v.ImageID)
	}
	after := append(api.Permissions(nil), v.shared...)
	if shares {
		after.Change(p, "LaunchPermission")
	}
	if kind, value, bad := after.Malformed(); bad {
		return nil, query.Errorf("InvalidAMIAttributeItemValue", "Invalid attribute item value \"%s\" for %s item type.", value, kind)
	}
	if len(after) > len(v.shared) {
		for _, m := range v.Devices.Items {
			if snap, ok := c.r.snapshots.Get(m.Ebs.SnapshotID); ok && snap.Encrypted {
				if err := shareable(snap.KmsKeyID); err != nil {
					return nil, err
				}
			}
		}
	}
	if err := c.publishable(v.shared, after, c.r.blocking.images, "image"); err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	v.shared, v.Public = after, after.Public()
	if p.Has("Description.Value") {
		v.Description = p.Get("Description.Value")
	}
	if p.Has("ImdsSupport.Value") {
		v.Imds = "v2.0"
	}
	return api.Success, nil
}

func resetImageAttribute(c *call) (any, error) {
	v, err := c.ownImage()
	if err != nil {
		return nil, err
	}
	if c.Params.Get("Attribute") != "launchPermission" {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", c.Params.Get("Attribute"))
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	v.shared, v.Public = nil, false
	return api.Success, nil
}

func describeImageAttribute(c *call) (any, error) {
	v, err := c.ownImage()
	if err != nil {
		return nil, err
	}
	answer := struct {
		ID          string                     `xml:"imageId"`
		Description *textValue                 `xml:"description"`
		Sriov       *textValue                 `xml:"sriovNetSupport"`
		BootMode    *textValue                 `xml:"bootMode"`
		Imds        *textValue                 `xml:"imdsSupport"`
		Protection  *textValue                 `xml:"deregistrationProtection"`
		Launched    *textValue                 `xml:"lastLaunchedTime"`
		Shared      *query.Set[api.Permission] `xml:"launchPermission"`
		Codes       *query.Set[struct{}]       `xml:"productCodes"`
		Devices     *query.Set[mapping]        `xml:"blockDeviceMapping"`
	}{ID: v.ImageID}
	switch name := c.Params.Get("Attribute"); name {
	case "description":
		answer.Description = &textValue{v.Description}
	case "sriovNetSupport":
		answer.Sriov = &textValue{v.SriovNet}
	case "bootMode":
		answer.BootMode = &textValue{v.BootMode}
	case "imdsSupport":
		answer.Imds = &textValue{v.Imds}
	case "deregistrationProtection":
		answer.Protection = &textValue{v.Protection}
	case "lastLaunchedTime":
		answer.Launched = &textValue{}
		if !v.launched.IsZero() {
			answer.Launched.Value = api.Stamp(v.launched)
		}
	case "launchPermission":
		answer.Shared = &query.Set[api.Permission]{Items: v.shared}
	case "productCodes":
		answer.Codes = &query.Set[struct{}]{}
	case "blockDeviceMapping":
		answer.Devices = &v.Devices
	default:
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return answer, nil
}

// imageChange runs an action that changes an image of the account and returns only
// success.
func imageChange(c *call, check func(*image) error, apply func(*image)) (any, error) {
	v, err := c.ownImage()
	if err != nil {
		return nil, err
	}
	if check != nil {
		if err := check(v); err != nil {
			return nil, err
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	apply(v)
	return api.Success, nil
}

func enableImageDeprecation(c *call) (any, error) {
	var at time.Time
	return imageChange(c, func(*image) error {
		var err error
		if at, err = time.Parse(time.RFC3339, c.Params.Get("DeprecateAt")); err != nil {
			return query.Errorf("InvalidParameterValue", "Value (%s) for parameter DeprecateAt is invalid.", c.Params.Get("DeprecateAt"))
		}
		if !at.After(c.Now) || at.After(c.Now.AddDate(10, 0, 0)) {
			return query.Errorf("InvalidParameterValue", "The deprecation date must be in the future, and not more than 10 years from now.")
		}
		return nil
	}, func(v *image) { v.Deprecated = api.Stamp(at.Truncate(time.Minute)) })
}

func disableImageDeprecation(c *call) (any, error) {
	return imageChange(c, nil, func(v *image) { v.Deprecated = "" })
}

type textReturn struct {
	Return string `xml:"return"`
}

func enableImageProtection(c *call) (any, error) {
	state := "enabled-without-cooldown"
	if c.Params.Bool("WithCooldown", false) {
		state = "enabled-with-cooldown"
	}
	_, err := imageChange(c, nil, func(v *image) { v.Protection = state })
	return textReturn{state}, err
}

func disableImageProtection(c *call) (any, error) {
	state := "disabled"
	_, err := imageChange(c, nil, func(v *image) {
		if strings.HasSuffix(v.Protection, "-with-cooldown") {
			state = "disabled-after-24-hours-cooldown"
		}
		v.Protection = "disabled"
	})
	return textReturn{state}, err
}

func enableImage(c *call) (any, error) {
	return imageChange(c, nil, func(v *image) {
		if v.State == "disabled" {
			v.State = "available"
		}
	})
}

func disableImage(c *call) (any, error) {
	return imageChange(c, func(v *image) error {
		if v.State != "available" && v.State != "disabled" {
			return query.Errorf("IncorrectState", "The image '%s' is in state '%s' and cannot be disabled.", v.ImageID, v.State)
		}
		return nil
	}, func(v *image) { v.State, v.shared, v.Public = "disabled", nil, false })
}
