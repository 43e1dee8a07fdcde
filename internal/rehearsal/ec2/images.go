// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type image struct {
	Platform     string             `xml:"platformDetails"`
	UsageOp      string             `xml:"usageOperation"`
	Devices      query.Set[mapping] `xml:"blockDeviceMapping"`
	Description  string             `xml:"description,omitempty"`
	EnaSupport   bool               `xml:"enaSupport"`
	Hypervisor   string             `xml:"hypervisor"`
	Name         string             `xml:"name"`
	RootName     string             `xml:"rootDeviceName"`
	RootType     string             `xml:"rootDeviceType"`
	SriovNet     string             `xml:"sriovNetSupport,omitempty"`
	StateReason  *stateReason       `xml:"stateReason"`
	Tags         tagList            `xml:"tagSet"`
	VirtType     string             `xml:"virtualizationType"`
	BootMode     string             `xml:"bootMode,omitempty"`
	Deprecated   string             `xml:"deprecationTime,omitempty"`
	Imds         string             `xml:"imdsSupport,omitempty"`
	SourceInst   string             `xml:"sourceInstanceId,omitempty"`
	Protection   string             `xml:"deregistrationProtection,omitempty"`
	SourceImage  string             `xml:"sourceImageId,omitempty"`
	SourceRegion string             `xml:"sourceImageRegion,omitempty"`
	ImageID      string             `xml:"imageId"`
	Location     string             `xml:"imageLocation"`
	State        string             `xml:"imageState"`
	OwnerID      string             `xml:"imageOwnerId"`
	Created      string             `xml:"creationDate"`
	Public       bool               `xml:"isPublic"`
	Architecture string             `xml:"architecture"`
	Kind         string             `xml:"imageType"`

	born     time.Time
	end      CopyEnd // how it is to end, where not as available
	launched time.Time
	login    string // user name of its cloud-init
	shared   permissions
	seeded   bool // AWS provides it
	waits    []*snapshotT
}

type mapping struct {
	Name    string      `xml:"deviceName"`
	Virtual string      `xml:"virtualName,omitempty"`
	Ebs     *mappingEbs `xml:"ebs"`
}

type mappingEbs struct {
	Delete     bool   `xml:"deleteOnTermination"`
	Iops       int    `xml:"iops,omitempty"`
	SnapshotID string `xml:"snapshotId,omitempty"`
	Size       int    `xml:"volumeSize"` // GiB
	Kind       string `xml:"volumeType"`
	Throughput int    `xml:"throughput,omitempty"`
	Encrypted  bool   `xml:"encrypted"`
}

// settle makes an image available once its snapshots are complete, and failed
// when one of them failed.
func (v *image) settle(r *region, now time.Time) {
	if v.State != "pending" {
		return
	}
	for _, snap := range v.waits {
		if snap.Status == "error" {
			v.State = "failed"
			v.StateReason = &stateReason{"Client.InternalError", "Client.InternalError: " + snap.StatusMessage}
			if v.end.State != "" {
				v.State = v.end.State
			}
			return
		}
		if snap.Status != "completed" {
			return
		}
	}
	v.State, v.waits = "available", nil
}

// layer returns the name of the files that a machine of this image starts with.
func (v *image) layer(r *region) string {
	for _, m := range v.Devices.Items {
		if m.Ebs != nil && m.Name == v.RootName {
			if snap, ok := r.snapshots.get(m.Ebs.SnapshotID); ok {
				return snap.layer
			}
		}
	}
	return ""
}

func (c *call) image(id string) (*image, error) {
	if !wellFormed(id, "ami") {
		return nil, query.Errorf("InvalidAMIID.Malformed", "Invalid id: %q (expecting \"ami-...\")", id)
	}
	v, ok := c.r.images.get(id)
	if !ok && c.r.gone[id] {
		return nil, query.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is no longer available", id)
	}
	if !ok || !v.seeded && c.fresh(v.born) {
		return nil, query.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
	}
	return v, nil
}

// ownImage returns an image that the account may change.
func (c *call) ownImage() (*image, error) {
	v, err := c.image(c.p.Get("ImageId"))
	if err != nil {
		return nil, err
	}
	if v.seeded {
		return nil, &query.Error{Code: "AuthFailure", Message: "Not authorized for image:" + v.ImageID, Status: 403}
	}
	return v, nil
}

func describeImages(c *call) (any, error) {
	asked := c.p.List("ImageId")
	for _, id := range asked {
		if c.r.gone[id] {
			// A deregistered image is simply not found by a description.
			return nil, query.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
		}
		if _, err := c.image(id); err != nil {
			return nil, err
		}
	}
	var found []*image
	for _, v := range c.r.images.all() {
		ok, err := c.matches(v.Tags, v.filter)
		if err != nil {
			return nil, err
		}
		if ok && contains(asked, v.ImageID) && c.ownedAsAsked(v) && c.executableAsAsked(v) && c.shown(v, len(asked) > 0) {
			found = append(found, v)
		}
	}
	set, next, err := page(c, found, 1)
	return struct {
		Images query.Set[*image] `xml:"imagesSet"`
		Next   string            `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func (c *call) ownedAsAsked(v *image) bool {
	owners := c.p.List("Owner")
	for i, o := range owners {
		if o == "self" {
			owners[i] = c.s.cfg.AccountID
		}
	}
	return contains(owners, v.OwnerID)
}

func (c *call) executableAsAsked(v *image) bool {
	by := c.p.List("ExecutableBy")
	if len(by) == 0 {
		return true
	}
	return slices.ContainsFunc(by, func(who string) bool {
		switch who {
		case "self":
			return v.OwnerID != c.s.cfg.AccountID && slices.Contains(v.shared, permission{User: c.s.cfg.AccountID})
		case "all":
			return v.Public
		}
		return slices.Contains(v.shared, permission{User: who})
	})
}

// shown says whether an image that is disabled or deprecated is to be shown:
// the owner sees the deprecated ones always.
func (c *call) shown(v *image, byID bool) bool {
	if byID {
		return true
	}
	if v.State == "disabled" && !c.p.Bool("IncludeDisabled", false) {
		return false
	}
	return !v.seeded || v.Deprecated == "" || v.Deprecated > stamp(c.now) || c.p.Bool("IncludeDeprecated", false)
}

func (v *image) filter(name string) ([]string, bool) {
	var devices, snapshots, sizes, kinds []string
	for _, m := range v.Devices.Items {
		devices = append(devices, m.Name)
		if m.Ebs != nil {
			snapshots = append(snapshots, m.Ebs.SnapshotID)
			sizes = append(sizes, strconv.Itoa(m.Ebs.Size))
			kinds = append(kinds, m.Ebs.Kind)
		}
	}
	many := map[string][]string{
		"block-device-mapping.device-name": devices, "block-device-mapping.snapshot-id": snapshots,
		"block-device-mapping.volume-size": sizes, "block-device-mapping.volume-type": kinds,
		"product-code": nil, "kernel-id": nil, "ramdisk-id": nil, "platform": nil, "owner-alias": nil, "state-reason-code": nil,
	}
	if values, ok := many[name]; ok {
		return values, true
	}
	value, ok := map[string]string{
		"architecture": v.Architecture, "creation-date": v.Created, "description": v.Description, "ena-support": strconv.FormatBool(v.EnaSupport),
		"hypervisor": v.Hypervisor, "image-id": v.ImageID, "image-type": v.Kind, "is-public": strconv.FormatBool(v.Public),
		"manifest-location": v.Location, "name": v.Name, "owner-id": v.OwnerID, "root-device-name": v.RootName,
		"root-device-type": v.RootType, "source-instance-id": v.SourceInst, "source-image-id": v.SourceImage,
		"source-image-region": v.SourceRegion, "state": v.State, "virtualization-type": v.VirtType, "imds-support": v.Imds, "boot-mode": v.BootMode,
		"sriov-net-support": v.SriovNet, "platform-details": v.Platform, "usage-operation": v.UsageOp,
	}[name]
	return []string{value}, ok
}

// checkName refuses a name that an image of the region cannot get.
func (c *call) checkName(name string) error {
	allowed := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("()[] ./-'@_", r)
	}
	if len(name) < 3 || len(name) > 128 || strings.ContainsFunc(name, func(r rune) bool { return !allowed(r) }) {
		return query.Errorf("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_'")
	}
	for _, v := range c.r.images.all() {
		if v.Name == name && !v.seeded && v.State != "failed" {
			return query.Errorf("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, v.ImageID)
		}
	}
	return nil
}
