// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"cmp"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type volume struct {
	Iops        int                          `xml:"iops,omitempty"`
	Tags        tagList                      `xml:"tagSet"`
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

	layer   string // what it began with
	login   string
	deleted bool
}

type volumeAttachment struct {
	Delete     bool   `xml:"deleteOnTermination"`
	VolumeID   string `xml:"volumeId"`
	InstanceID string `xml:"instanceId"`
	Device     string `xml:"device"`
	Status     string `xml:"status"`
	AttachTime string `xml:"attachTime"`
}

// disk is a volume to make.
type disk struct {
	name, snapshot, kind, kms, layer, login string
	size, iops, throughput                  int
	encrypted, onEnd                        bool
}

// disks lays the block devices of a request over those of an image.
func (c *call) disks(img *image, asked []query.Params) ([]disk, error) {
	var out []disk
	index := map[string]int{}
	for _, m := range img.Devices.Items {
		if m.Ebs == nil {
			continue
		}
		d := disk{
			name: m.Name, snapshot: m.Ebs.SnapshotID, kind: m.Ebs.Kind, size: m.Ebs.Size, iops: m.Ebs.Iops, throughput: m.Ebs.Throughput,
			encrypted: m.Ebs.Encrypted, onEnd: m.Ebs.Delete, login: img.login,
		}
		if snap, ok := c.r.snapshots.get(d.snapshot); ok {
			d.layer = snap.layer
		}
		index[m.Name] = len(out)
		out = append(out, d)
	}
	for _, p := range asked {
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
			out = append(out, disk{name: name, kind: "gp2", onEnd: true})
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
	least := 0
	if id := p.Or("SnapshotId", d.snapshot); id != "" {
		size := d.size
		if snap, ok := c.r.snapshots.get(id); ok {
			size, d.layer, d.login = snap.Size, snap.layer, snap.login
			d.encrypted = d.encrypted || snap.Encrypted
		} else if p.Has("SnapshotId") && p.Get("SnapshotId") != d.snapshot {
			return noSnapshot(id)
		}
		d.snapshot, least = id, size
	}
	size, err := p.Int(map[bool]string{true: "VolumeSize", false: "Size"}[p.Has("VolumeSize")], max(d.size, least))
	if err != nil {
		return err
	}
	if size < least {
		return query.Errorf("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size >= %dGB", size, d.snapshot, least)
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
	if d.kind == "gp3" {
		d.iops, d.throughput = max(d.iops, 3000), max(d.throughput, 125)
	}
	d.encrypted = p.Bool("Encrypted", d.encrypted) || d.encrypted || c.r.encryption.on
	d.kms = p.Or("KmsKeyId", d.kms)
	d.onEnd = p.Bool("DeleteOnTermination", d.onEnd)
	return nil
}

func (c *call) newVolume(d disk, zone string) *volume {
	v := &volume{
		Iops: d.iops, Kind: d.kind, Throughput: d.throughput, VolumeID: c.s.ids.next("vol"), Size: d.size, SnapshotID: d.snapshot, Zone: zone,
		Status: "available", Created: stamp(c.now), Encrypted: d.encrypted, KmsKeyID: c.kmsArn(d.encrypted, d.kms), layer: d.layer, login: d.login,
	}
	c.r.volumes.put(v.VolumeID, v)
	return v
}

// kmsArn returns the key that encrypts: the account's default one where none
// is named.
func (c *call) kmsArn(encrypted bool, key string) string {
	if !encrypted {
		return ""
	}
	if key == "" {
		key = cmp.Or(c.r.encryption.key, awsKey)
	}
	if len(key) > 4 && key[:4] == "arn:" {
		return key
	}
	if len(key) > 6 && key[:6] != "alias/" {
		key = "key/" + key
	}
	return "arn:aws:kms:" + c.r.name + ":" + c.s.cfg.AccountID + ":" + key
}

func (i *instanceT) attach(v *volume, name string, onEnd bool, now time.Time) {
	i.Devices.Items = append(i.Devices.Items, &device{name, deviceEbs{stamp(now), onEnd, "attached", v.VolumeID}})
	v.Status = "in-use"
	v.Attachments = query.SetOf(&volumeAttachment{onEnd, v.VolumeID, i.InstanceID, name, "attached", stamp(now)})
}

func (v *volume) detach() {
	v.Status = "available"
	v.Attachments = query.Set[*volumeAttachment]{}
}

func (c *call) volume(id string) (*volume, error) {
	if !wellFormed(id, "vol") {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter volumes is invalid. Expected: 'vol-...'.", id)
	}
	if v, ok := c.r.volumes.get(id); ok {
		return v, nil
	}
	return nil, query.Errorf("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
}

func createVolume(c *call) (any, error) {
	zone := c.p.Get("AvailabilityZone")
	known := false
	for _, z := range c.r.zones {
		if z.name == zone || z.id == c.p.Get("AvailabilityZoneId") {
			zone, known = z.name, true
		}
	}
	if !known {
		return nil, query.Errorf("InvalidZone.NotFound", "The zone '%s' does not exist.", zone)
	}
	d := disk{kind: "gp2"}
	if err := c.overlay(&d, c.p); err != nil {
		return nil, err
	}
	tags, err := c.tagsFor("volume")
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	v := c.newVolume(d, zone)
	v.Tags = tags
	return v, nil
}

func deleteVolume(c *call) (any, error) {
	v, err := c.volume(c.p.Get("VolumeId"))
	if err != nil {
		return nil, err
	}
	if len(v.Attachments.Items) > 0 {
		return nil, query.Errorf("VolumeInUse", "Volume %s is currently attached to %s", v.VolumeID, v.Attachments.Items[0].InstanceID)
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	c.r.volumes.remove(v.VolumeID)
	v.deleted = true
	c.s.dropUnused(v.layer)
	return done{true}, nil
}

func attachVolume(c *call) (any, error) {
	v, err := c.volume(c.p.Get("VolumeId"))
	if err != nil {
		return nil, err
	}
	i, err := c.instance(c.p.Get("InstanceId"))
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
		if d.Name == c.p.Get("Device") {
			return nil, query.Errorf("InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use", d.Name, d.Name)
		}
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	i.attach(v, c.p.Get("Device"), false, c.now)
	return v.Attachments.Items[0], nil
}

func detachVolume(c *call) (any, error) {
	v, err := c.volume(c.p.Get("VolumeId"))
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
	if err := c.commit(); err != nil {
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
	asked := c.p.List("VolumeId")
	for _, id := range asked {
		if _, err := c.volume(id); err != nil {
			return nil, err
		}
	}
	var found []*volume
	for _, v := range c.r.volumes.all() {
		ok, err := c.matches(v.Tags, func(name string) ([]string, bool) {
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
		if ok && contains(asked, v.VolumeID) {
			found = append(found, v)
		}
	}
	set, next, err := page(c, found, 5)
	return struct {
		Volumes query.Set[*volume] `xml:"volumeSet"`
		Next    string             `xml:"nextToken,omitempty"`
	}{set, next}, err
}
