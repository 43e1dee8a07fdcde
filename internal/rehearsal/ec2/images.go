// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/store"
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
	Tags         api.TagList        `xml:"tagSet"`
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
	OwnerAlias   string             `xml:"imageOwnerAlias,omitempty"`
	State        string             `xml:"imageState"`
	OwnerID      string             `xml:"imageOwnerId"`
	Created      string             `xml:"creationDate"`
	Public       bool               `xml:"isPublic"`
	Architecture string             `xml:"architecture"`
	Kind         string             `xml:"imageType"`

	createdAt time.Time
	end       ImageEnd // injected result, if not available
	launched  time.Time
	login     string // login user that cloud-init creates
	shared    api.Permissions
	seeded    bool // provided by AWS
	waits     []*snapshotT
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

// settle makes an image available once its snapshots are complete, or failed once one
// of them failed.
func (v *image) settle() {
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

// layer returns the name of the layer from which a machine of this image starts.
func (v *image) layer(r *region) string {
	for _, m := range v.Devices.Items {
		if m.Ebs != nil && m.Name == v.RootName {
			if snap, ok := r.snapshots.Get(m.Ebs.SnapshotID); ok {
				return snap.layer
			}
		}
	}
	return ""
}

func (c *call) image(id string) (*image, error) {
	if !api.WellFormed(id, "ami") {
		return nil, query.Errorf("InvalidAMIID.Malformed", "Invalid id: %q (expecting \"ami-...\")", id)
	}
	v, ok := c.r.images.Get(id)
	if shared := c.sharedImage(id); !ok && shared != nil {
		return shared, nil
	}
	if !ok && c.r.deregistered[id] {
		return nil, query.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is no longer available", id)
	}
	if !ok || !v.seeded && c.IsNew(v.createdAt) {
		return nil, query.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
	}
	return v, nil
}

// ownImage returns an image that the account owns.
func (c *call) ownImage() (*image, error) {
	v, err := c.image(c.Params.Get("ImageId"))
	if err != nil {
		return nil, err
	}
	if v.seeded || !c.owns(v) {
		return nil, &query.Error{Code: "AuthFailure", Message: "Not authorized for image:" + v.ImageID, Status: 403}
	}
	return v, nil
}

func describeImages(c *call) (any, error) {
	requested := c.Params.List("ImageId")
	for _, id := range requested {
		if c.r.deregistered[id] {
			// DescribeImages returns NotFound for a deregistered image.
			return nil, query.Errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
		}
		if _, err := c.image(id); err != nil {
			return nil, err
		}
	}
	var found []*image
	for _, v := range append(c.r.images.All(), c.sharedImages()...) {
		ok, err := c.Matches(v.Tags, v.filter)
		if err != nil {
			return nil, err
		}
		if ok && api.Contains(requested, v.ImageID) && (v.seeded || !c.IsNew(v.createdAt)) && c.matchesOwners(v) && c.matchesExecutableBy(v) && c.shown(v, len(requested) > 0) {
			found = append(found, v)
		}
	}
	set, next, err := api.Page(c.Request, found, 1)
	return struct {
		Images query.Set[*image] `xml:"imagesSet"`
		Next   string            `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func (c *call) matchesOwners(v *image) bool {
	owners := c.Params.List("Owner")
	for i, o := range owners {
		if o == "self" {
			owners[i] = c.s.cfg.AccountID
		}
	}
	return api.Contains(owners, v.OwnerID) || v.OwnerAlias != "" && slices.Contains(owners, v.OwnerAlias)
}

func (c *call) matchesExecutableBy(v *image) bool {
	by := c.Params.List("ExecutableBy")
	if len(by) == 0 {
		return true
	}
	return slices.ContainsFunc(by, func(who string) bool {
		switch who {
		case "self":
			return v.OwnerID != c.s.cfg.AccountID && slices.Contains(v.shared, api.Permission{User: c.s.cfg.AccountID})
		case "all":
			return v.Public
		}
		return slices.Contains(v.shared, api.Permission{User: who})
	})
}

// shown reports whether to list an image that is disabled or deprecated. The owner
// always sees deprecated images.
func (c *call) shown(v *image, byID bool) bool {
	if byID {
		return true
	}
	if v.State == "disabled" && !c.Params.Bool("IncludeDisabled", false) {
		return false
	}
	return !v.seeded || v.Deprecated == "" || v.Deprecated > api.Stamp(c.Now) || c.Params.Bool("IncludeDeprecated", false)
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
		"product-code": nil, "kernel-id": nil, "ramdisk-id": nil, "platform": nil, "state-reason-code": nil,
	}
	if values, ok := many[name]; ok {
		return values, true
	}
	value, ok := map[string]string{
		"architecture": v.Architecture, "creation-date": v.Created, "description": v.Description, "ena-support": strconv.FormatBool(v.EnaSupport),
		"hypervisor": v.Hypervisor, "image-id": v.ImageID, "image-type": v.Kind, "is-public": strconv.FormatBool(v.Public),
		"manifest-location": v.Location, "name": v.Name, "owner-id": v.OwnerID, "owner-alias": v.OwnerAlias, "root-device-name": v.RootName,
		"root-device-type": v.RootType, "source-instance-id": v.SourceInst, "source-image-id": v.SourceImage,
		"source-image-region": v.SourceRegion, "state": v.State, "virtualization-type": v.VirtType, "imds-support": v.Imds, "boot-mode": v.BootMode,
		"sriov-net-support": v.SriovNet, "platform-details": v.Platform, "usage-operation": v.UsageOp,
	}[name]
	return []string{value}, ok
}

// freedName is the name of a deregistered image. EC2 frees it after some time.
type freedName struct {
	image string
	until time.Time
}

// checkName rejects an invalid or duplicate image name.
func (c *call) checkName(name string) error {
	allowed := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("()[] ./-'@_", r)
	}
	if len(name) < 3 || len(name) > 128 || strings.ContainsFunc(name, func(r rune) bool { return !allowed(r) }) {
		return query.Errorf("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_'")
	}
	for _, v := range c.r.images.All() {
		if v.Name == name && !v.seeded {
			return query.Errorf("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, v.ImageID)
		}
	}
	if left, ok := c.r.freed[name]; ok && c.Now.Before(left.until) {
		return query.Errorf("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, left.image)
	}
	return nil
}

// seedImages adds the public images of the catalog.
func (r *region) seedImages() {
	for _, d := range catalog.PublicImages {
		made, err := time.Parse(time.DateOnly, d.Date)
		if err != nil {
			panic(err) // the catalog is wrong
		}
		kind := "gp3"
		if d.Owner == catalog.Canonical && d.Date < "2026" && d.Arch == "x86_64" {
			kind = "gp2"
		}
		img := &image{
			Platform: "Linux/UNIX", UsageOp: "RunInstances", Description: d.Description, EnaSupport: true, Hypervisor: "xen", Name: d.Name,
			RootName: d.Root, RootType: "ebs", SriovNet: "simple", VirtType: "hvm", BootMode: "uefi-preferred", Imds: "",
			Deprecated: api.Stamp(made.AddDate(2, 0, 0)), ImageID: store.HashID("ami", r.Name, d.Name), Location: "amazon/" + d.Name, State: "available",
			OwnerID: d.Owner, OwnerAlias: catalog.AliasAmazon, Created: api.Stamp(made.Add(7 * time.Hour)), Public: true, Architecture: d.Arch, Kind: "machine", Protection: "disabled",
			login: d.Login, shared: api.Permissions{{Group: "all"}}, seeded: true,
		}
		if d.Arch == "arm64" {
			img.BootMode = "uefi"
		}
		img.Devices = query.SetOf(mapping{Name: d.Root, Ebs: &mappingEbs{
			Delete: true, SnapshotID: store.HashID("snap", r.Name, d.Name), Size: d.Size, Kind: kind,
		}})
		if kind == "gp3" {
			img.Devices.Items[0].Ebs.Iops, img.Devices.Items[0].Ebs.Throughput = 3000, 125
		}
		r.images.Put(img.ImageID, img)
	}
}
