// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type volume struct {
	Iops        int                          `xml:"iops,omitempty"`
	Tags        api.TagList                  `xml:"tagSet"`
	Kind        string                       `xml:"volumeType"`
	MultiAttach bool                         `xml:"multiAttachEnabled"`
	Throughput  int                          `xml:"throughput,omitempty"`
	VolumeID    string                       `xml:"volumeId"`
	Size        int                          `xml:"size"` // GiB
	SnapshotID  string                       `xml:"snapshotId"`
	Zone        string                       `xml:"availabilityZone"`
	Status      string                       `xml:"status"`
	Created     string                       `xml:"createTime"`
	Attachments query.Set[*volumeAttachment] `xml:"attachmentSet"`
	Encrypted   bool                         `xml:"encrypted"`
	KmsKeyID    string                       `xml:"kmsKeyId,omitempty"`

	createdAt time.Time
	layer     string // initial content
	login     string
	deleted   bool
}

type volumeAttachment struct {
	Delete     bool   `xml:"deleteOnTermination"`
	VolumeID   string `xml:"volumeId"`
	InstanceID string `xml:"instanceId"`
	Device     string `xml:"device"`
	Status     string `xml:"status"`
	AttachTime string `xml:"attachTime"`
}

// disk is a volume to create.
type disk struct {
	name, snapshot, kind, kms, layer, login string
	size, iops, throughput                  int
	encrypted, deleteOnTermination          bool
}

// disks merges the block devices of a request over those of an image.
func (c *call) disks(img *image, requested []query.Params) ([]disk, error) {
	var out []disk
	index := map[string]int{}
	for _, m := range img.Devices.Items {
		if m.Ebs == nil {
			continue
		}
		d := disk{
			name: m.Name, snapshot: m.Ebs.SnapshotID, kind: m.Ebs.Kind, size: m.Ebs.Size, iops: m.Ebs.Iops, throughput: m.Ebs.Throughput,
			encrypted: m.Ebs.Encrypted, deleteOnTermination: m.Ebs.Delete, login: img.login,
		}
		if snap, ok := c.ownerOf(img).snapshots.Get(d.snapshot); ok {
			d.layer = snap.layer
			if snap.Encrypted {
				d.kms = snap.KmsKeyID // the account's own snapshot
			}
		}
		index[m.Name] = len(out)
		out = append(out, d)
	}
	for _, p := range requested {
		name := p.Get("DeviceName")
		if name == "" {
			return nil, query.Errorf("MissingParameter", "The request must contain the parameter deviceName")
		}
		n, known := index[name]
		if p.Has("NoDevice") || p.Has("VirtualName") {
			if known {
				out[n].name = ""
			}
			continue
		}
		if !known {
			n = len(out)
			index[name] = n
			out = append(out, disk{name: name, kind: "gp2", deleteOnTermination: true})
		}
		if err := c.overlay(&out[n], p.Sub("Ebs")); err != nil {
			return nil, err
		}
	}
	var kept []disk
	for _, d := range out {
		if d.name != "" {
			kept = append(kept, d)
		}
	}
	return kept, nil
}

// overlay applies an Ebs structure, or the parameters of CreateVolume, to d.
func (c *call) overlay(d *disk, p query.Params) error {
	var err error
	minimum := 0
	if id := p.Or("SnapshotId", d.snapshot); id != "" {
		size := d.size
		if snap, ok := c.r.snapshots.Get(id); ok {
			size, d.layer, d.login = snap.Size, snap.layer, snap.login
			d.encrypted = d.encrypted || snap.Encrypted
		} else if p.Has("SnapshotId") && p.Get("SnapshotId") != d.snapshot {
			return noSnapshot(id)
		}
		d.snapshot, minimum = id, size
	}
	size, err := p.Int(map[bool]string{true: "VolumeSize", false: "Size"}[p.Has("VolumeSize")], max(d.size, minimum))
	if err != nil {
		return err
	}
	if size < minimum {
		return query.Errorf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB", size, d.snapshot, minimum)
	}
	if size < 1 || size > 65536 {
		return query.Errorf("MissingParameter", "The request must contain the parameter size or snapshotId")
	}
	d.size = size
	d.kind = p.Or("VolumeType", d.kind)
	switch d.kind {
	case "gp2", "gp3", "io1", "io2", "st1", "sc1", "standard":
	default:
		return query.Errorf("InvalidParameterValue", "Invalid volume type: %s", d.kind)
	}
	if d.iops, err = p.Int("Iops", d.iops); err != nil {
		return err
	}
	if d.throughput, err = p.Int("Throughput", d.throughput); err != nil {
		return err
	}
	if err := d.checkRates(p); err != nil {
		return err
	}
	if d.kind == "gp3" {
		d.iops, d.throughput = max(d.iops, 3000), max(d.throughput, 125)
	}
	d.encrypted = p.Bool("Encrypted", d.encrypted) || d.encrypted || c.r.encryption.on
	d.kms = p.Or("KmsKeyId", d.kms)
	d.deleteOnTermination = p.Bool("DeleteOnTermination", d.deleteOnTermination)
	return checkEncrypts(p.Get("KmsKeyId"), d.encrypted)
}

// Limits of EBS volumes; those of gp3 are of September 2025
// (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html).
var (
	maxIops       = map[string]int{"gp3": 80000, "io1": 64000, "io2": 256000}
	maxThroughput = map[string]int{"gp3": 2000} // MiB/s
)

// checkRates rejects rates that the volume type does not support.
func (d *disk) checkRates(p query.Params) error {
	for _, rate := range []struct {
		name    string
		value   int
		maximum map[string]int
	}{{"iops", d.iops, maxIops}, {"throughput", d.throughput, maxThroughput}} {
		maximum, has := rate.maximum[d.kind]
		switch name := strings.ToUpper(rate.name[:1]) + rate.name[1:]; {
		case !p.Has(name):
		case !has:
			return query.Errorf("InvalidParameterCombination", "The parameter %s is not supported for %s volumes.", rate.name, d.kind)
		case rate.value > maximum:
			return query.Errorf("InvalidParameterValue", "Volume %s of %d is too high; maximum is %d.", rate.name, rate.value, maximum)
		}
	}
	return nil
}

func (c *call) newVolume(d disk, zone string) *volume {
	v := &volume{
		Iops: d.iops, Kind: d.kind, Throughput: d.throughput, VolumeID: c.s.ids.Next("vol"), Size: d.size, SnapshotID: d.snapshot, Zone: zone,
		Status: "available", Created: api.Stamp(c.Now), Encrypted: d.encrypted, KmsKeyID: c.kmsArn(d.encrypted, d.kms), layer: d.layer, login: d.login, createdAt: c.Now,
	}
	c.r.volumes.Put(v.VolumeID, v)
	return v
}

func (i *instanceT) attach(v *volume, name string, deleteOnTermination bool, now time.Time) {
	i.Devices.Items = append(i.Devices.Items, &device{name, deviceEbs{api.Stamp(now), deleteOnTermination, "attached", v.VolumeID}})
	v.Status = "in-use"
	v.Attachments = query.SetOf(&volumeAttachment{deleteOnTermination, v.VolumeID, i.InstanceID, name, "attached", api.Stamp(now)})
}

func (v *volume) detach() {
	v.Status = "available"
	v.Attachments = query.Set[*volumeAttachment]{}
}

func (c *call) volume(id string) (*volume, error) {
	if !api.WellFormed(id, "vol") {
		return nil, query.Errorf("InvalidVolumeID.Malformed", "Invalid id: %q (expecting \"vol-...\")", id)
	}
	if v, ok := c.r.volumes.Get(id); ok && !c.IsNew(v.createdAt) {
		return v, nil
	}
	return nil, query.Errorf("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
}

func createVolume(c *call) (any, error) {
	zone := c.Params.Get("AvailabilityZone")
	known := false
	for _, z := range c.r.Zones {
		if z.Name == zone || z.ID == c.Params.Get("AvailabilityZoneId") {
			zone, known = z.Name, true
		}
	}
	if !known {
		return nil, query.Errorf("InvalidZone.NotFound", "The zone '%s' does not exist.", zone)
	}
	d := disk{kind: "gp2"}
	if err := c.overlay(&d, c.Params); err != nil {
		return nil, err
	}
	tags, err := c.TagsFor("volume")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	v := c.newVolume(d, zone)
	v.Tags = tags
	return v, nil
}

func deleteVolume(c *call) (any, error) {
	v, err := c.volume(c.Params.Get("VolumeId"))
	if err != nil {
		return nil, err
	}
	if len(v.Attachments.Items) > 0 {
		return nil, query.Errorf("VolumeInUse", "Volume %s is currently attached to %s", v.VolumeID, v.Attachments.Items[0].InstanceID)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.r.volumes.Remove(v.VolumeID)
	v.deleted = true
	c.s.dropUnused(v.layer)
	return api.Success, nil
}

func attachVolume(c *call) (any, error) {
	v, err := c.volume(c.Params.Get("VolumeId"))
	if err != nil {
		return nil, err
	}
	i, err := c.instance(c.Params.Get("InstanceId"))
	if err != nil {
		return nil, err
	}
	switch {
	case v.Status != "available":
		return nil, query.Errorf("VolumeInUse", "%s is already attached to an instance", v.VolumeID)
	case v.Zone != i.Placement.Zone:
		return nil, query.Errorf("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", v.VolumeID, i.InstanceID)
	case i.State != running && i.State != stopped:
		return nil, query.Errorf("IncorrectState", "Instance '%s' is not 'running'.", i.InstanceID)
	}
	for _, d := range i.Devices.Items {
		if d.Name == c.Params.Get("Device") {
			return nil, query.Errorf("InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use", d.Name, d.Name)
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	i.attach(v, c.Params.Get("Device"), false, c.Now)
	return v.Attachments.Items[0], nil
}

func detachVolume(c *call) (any, error) {
	v, err := c.volume(c.Params.Get("VolumeId"))
	if err != nil {
		return nil, err
	}
	if len(v.Attachments.Items) == 0 {
		return nil, query.Errorf("IncorrectState", "Volume '%s' is in the 'available' state.", v.VolumeID)
	}
	a := *v.Attachments.Items[0]
	i, err := c.instance(a.InstanceID)
	if err != nil {
		return nil, err
	}
	if a.Device == i.RootName && i.State != stopped {
		return nil, query.Errorf("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", v.VolumeID, i.InstanceID)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	for n, d := range i.Devices.Items {
		if d.Ebs.VolumeID == v.VolumeID {
			i.Devices.Items = append(i.Devices.Items[:n:n], i.Devices.Items[n+1:]...)
			break
		}
	}
	v.detach()
	a.Status = "detaching"
	return a, nil
}

func describeVolumes(c *call) (any, error) {
	requested := c.Params.List("VolumeId")
	for _, id := range requested {
		if _, err := c.volume(id); err != nil {
			return nil, err
		}
	}
	var found []*volume
	for _, v := range c.r.volumes.All() {
		ok, err := c.Matches(v.Tags, func(name string) ([]string, bool) {
			a := volumeAttachment{}
			if len(v.Attachments.Items) > 0 {
				a = *v.Attachments.Items[0]
			}
			value, ok := map[string]string{
				"volume-id": v.VolumeID, "status": v.Status, "snapshot-id": v.SnapshotID, "size": strconv.Itoa(v.Size), "volume-type": v.Kind,
				"availability-zone": v.Zone, "encrypted": strconv.FormatBool(v.Encrypted), "create-time": v.Created,
				"attachment.instance-id": a.InstanceID, "attachment.device": a.Device, "attachment.status": a.Status,
				"attachment.delete-on-termination": strconv.FormatBool(a.Delete), "attachment.attach-time": a.AttachTime,
			}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && api.Contains(requested, v.VolumeID) && !c.IsNew(v.createdAt) {
			found = append(found, v)
		}
	}
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Volumes query.Set[*volume] `xml:"volumeSet"`
		Next    string             `xml:"nextToken,omitempty"`
	}{set, next}, err
}
