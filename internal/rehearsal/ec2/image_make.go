// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"slices"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type imageID struct {
	ID string `xml:"imageId"`
}

// newImage returns a pending image of the account.
func (c *call) newImage(name string) *image {
	id := c.s.ids.Next("ami")
	return &image{
		Platform: "Linux/UNIX", UsageOp: "RunInstances", Hypervisor: "xen", Name: name, RootType: "ebs", VirtType: "hvm", EnaSupport: true,
		ImageID: id, Location: c.s.cfg.AccountID + "/" + name, State: "pending", OwnerID: c.s.cfg.AccountID, Created: api.Stamp(c.Now),
		Kind: "machine", Protection: "disabled", createdAt: c.Now,
	}
}

// await makes an image wait for one more snapshot.
func (c *call) await(img *image, snap *snapshotT) {
	snap.visibleAt = c.Now.Add(time.Duration(len(img.waits)) * c.s.delays[c.r.Name])
	img.waits = append(img.waits, snap)
}

func createImage(c *call) (any, error) {
	i, err := c.instance(c.Params.Get("InstanceId"))
	if err != nil {
		return nil, err
	}
	if i.State != running && i.State != stopped && i.State != stopping {
		return nil, query.Errorf("IncorrectState", "Instance %s is in state '%s', expected 'running' or 'stopped'", i.InstanceID, i.State.Name)
	}
	name := c.Params.Get("Name")
	if err := c.checkName(name); err != nil {
		return nil, err
	}
	tags, err := c.TagsFor("image")
	if err != nil {
		return nil, err
	}
	snapTags, err := c.TagsFor("snapshot")
	if err != nil {
		return nil, err
	}
	blank, err := c.blankDevices(i)
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	left, extra := map[string]bool{}, map[string]query.Params{}
	for _, p := range c.Params.Items("BlockDeviceMapping") {
		left[p.Get("DeviceName")] = p.Has("NoDevice")
		extra[p.Get("DeviceName")] = p.Sub("Ebs")
	}
	img := c.newImage(name)
	img.Tags, img.Description, img.SourceInst = tags, c.Params.Get("Description"), i.InstanceID
	img.Architecture, img.RootName, img.login, img.EnaSupport, img.SriovNet = i.Architecture, i.RootName, i.login, i.EnaSupport, i.SriovNet
	img.Platform, img.UsageOp = i.Platform, i.UsageOp
	if from, ok := c.r.images.Get(i.ImageID); ok {
		img.BootMode, img.Imds, img.SourceImage, img.SourceRegion = from.BootMode, from.Imds, from.ImageID, c.r.Name
	}
	img.end = next(c.s.images, c.r.Name)
	for _, d := range i.Devices.Items {
		v, ok := c.r.volumes.Get(d.Ebs.VolumeID)
		if !ok || left[d.Name] {
			continue
		}
		snap := c.newSnapshot(v, "Created by CreateImage("+i.InstanceID+") for "+img.ImageID, snapTags.Clone())
		snap.applyEnd(img.end)
		if i.State == running && !c.Params.Bool("NoReboot", false) {
			snap.createdAt, snap.waitsForStop = c.Now.Add(c.s.cfg.Pace.Reboot), true
		}
		if d.Name == i.RootName {
			c.capture(i, snap, !c.Params.Bool("NoReboot", false))
		}
		c.await(img, snap)
		m := mapping{Name: d.Name, Ebs: &mappingEbs{
			Delete: d.Ebs.Delete, Iops: v.Iops, SnapshotID: snap.SnapshotID, Size: v.Size, Kind: v.Kind, Throughput: v.Throughput, Encrypted: v.Encrypted,
		}}
		if p, ok := extra[d.Name]; ok {
			m.Ebs.Delete = p.Bool("DeleteOnTermination", m.Ebs.Delete)
			m.Ebs.Kind = p.Or("VolumeType", m.Ebs.Kind)
			m.Ebs.Size, _ = p.Int("VolumeSize", m.Ebs.Size)
		}
		img.Devices.Items = append(img.Devices.Items, m)
	}
	img.Devices.Items = append(img.Devices.Items, blank...)
	c.r.images.Put(img.ImageID, img)
	return imageID{img.ImageID}, nil
}

// blankDevices returns the mappings of CreateImage that add a volume which the
// instance does not have.
func (c *call) blankDevices(i *instanceT) (added []mapping, err error) {
	for _, p := range c.Params.Items("BlockDeviceMapping") {
		name, ebs := p.Get("DeviceName"), p.Sub("Ebs")
		has := slices.ContainsFunc(i.Devices.Items, func(d *device) bool { return d.Name == name })
		if has || !p.Has("Ebs") || p.Has("NoDevice") {
			continue
		}
		d := disk{kind: "standard", deleteOnTermination: true}
		if err := c.checkImageDevice(name, ebs); err != nil {
			return nil, err
		}
		if err := c.overlay(&d, ebs); err != nil {
			return nil, err
		}
		added = append(added, d.mapping(name))
	}
	return added, nil
}

// checkImageDevice refuses encryption parameters that EC2 does not accept for an
// image: the state of a snapshot cannot be changed, and the key of a blank volume is
// chosen at launch
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EbsBlockDevice.html).
func (c *call) checkImageDevice(name string, ebs query.Params) error {
	switch {
	case ebs.Has("Encrypted") && ebs.Has("SnapshotId"):
		return query.Errorf("InvalidBlockDeviceMapping", "the encrypted flag cannot be specified since device %s has a snapshot specified.", name)
	case ebs.Get("KmsKeyId") != "" && c.Action == "RegisterImage":
		return query.Errorf("InvalidParameter", "Parameter KmsKeyId is invalid for device %s.", name)
	}
	return nil
}

func (d disk) mapping(name string) mapping {
	return mapping{Name: name, Ebs: &mappingEbs{d.deleteOnTermination, d.iops, d.snapshot, d.size, d.kind, d.throughput, d.encrypted}}
}

func registerImage(c *call) (any, error) {
	name := c.Params.Get("Name")
	if err := c.checkName(name); err != nil {
		return nil, err
	}
	root := c.Params.Get("RootDeviceName")
	if root == "" {
		return nil, query.Errorf("MissingParameter", "The request must contain the parameter rootDeviceName")
	}
	img := c.newImage(name)
	img.Architecture, img.RootName, img.Description = c.Params.Or("Architecture", "i386"), root, c.Params.Get("Description")
	img.VirtType, img.EnaSupport = c.Params.Or("VirtualizationType", "paravirtual"), c.Params.Bool("EnaSupport", false)
	img.BootMode, img.Imds, img.SriovNet, img.State, img.login = c.Params.Get("BootMode"), c.Params.Get("ImdsSupport"), c.Params.Get("SriovNetSupport"), "available", "ubuntu"
	hasRoot := false
	for _, p := range c.Params.Items("BlockDeviceMapping") {
		d := disk{kind: "standard", deleteOnTermination: true}
		ebs := p.Sub("Ebs")
		if ebs.Has("SnapshotId") {
			snap, err := c.snapshot(ebs.Get("SnapshotId"))
			if err != nil {
				return nil, err
			}
			if snap.Status != "completed" {
				return nil, query.Errorf("IncorrectState", "The snapshot '%s' is not in the 'completed' state.", snap.SnapshotID)
			}
			if p.Get("DeviceName") == root && snap.login != "" {
				img.login = snap.login
			}
		}
		if err := c.checkImageDevice(p.Get("DeviceName"), ebs); err != nil {
			return nil, err
		}
		if err := c.overlay(&d, ebs); err != nil {
			return nil, err
		}
		hasRoot = hasRoot || p.Get("DeviceName") == root && d.snapshot != ""
		img.Devices.Items = append(img.Devices.Items, d.mapping(p.Get("DeviceName")))
	}
	if !hasRoot {
		return nil, query.Errorf("InvalidBlockDeviceMapping", "The device '%s' is the root device, and it must have a snapshot.", root)
	}
	tags, err := c.TagsFor("image")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	img.Tags = tags
	c.r.images.Put(img.ImageID, img)
	return imageID{img.ImageID}, nil
}

func copyImage(c *call) (any, error) {
	ids, again, err := c.FindByToken()
	if err != nil {
		return nil, err
	}
	if again {
		return imageID{ids[0]}, nil
	}
	source := c.s.regions[c.Params.Get("SourceRegion")]
	if source == nil || !source.optedIn() {
		return nil, query.Errorf("InvalidParameterValue", "The source region '%s' is invalid.", c.Params.Get("SourceRegion"))
	}
	there := *c
	there.r, there.Net = source, source.Region
	from, err := there.image(c.Params.Get("SourceImageId"))
	if err != nil {
		return nil, err
	}
	if from.State != "available" {
		return nil, query.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available", from.ImageID)
	}
	if !from.seeded && !c.owns(from) {
		if source = c.s.others.regionOf(from.OwnerID, source.Name); !c.readable(source, from) {
			return nil, query.Errorf("InvalidRequest", "You do not have permission to access the storage of this ami")
		}
	}
	if err := c.checkName(c.Params.Get("Name")); err != nil {
		return nil, err
	}
	encrypted := c.Params.Bool("Encrypted", false)
	if err := checkEncrypts(c.Params.Get("KmsKeyId"), encrypted || c.r.encryption.on); err != nil {
		return nil, err
	}
	minutes, err := c.Params.Int("SnapshotCopyCompletionDurationMinutes", 0)
	if err != nil {
		return nil, err
	}
	if minutes != 0 && (minutes%15 != 0 || minutes < 15 || minutes > 2880) {
		return nil, query.Errorf("InvalidParameterValue", "The completion duration must be between 15 and 2880 minutes, in steps of 15.")
	}
	tags, err := c.TagsFor("image")
	if err != nil {
		return nil, err
	}
	snapTags, err := c.TagsFor("snapshot")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}

	img := c.newImage(c.Params.Get("Name"))
	id, location, created := img.ImageID, img.Location, img.Created
	copied := *from // attributes that a copy inherits
	*img = copied
	img.ImageID, img.Location, img.Created, img.createdAt, img.Name = id, location, created, c.Now, c.Params.Get("Name")
	img.OwnerID, img.OwnerAlias = c.s.cfg.AccountID, ""
	img.State, img.Public, img.seeded, img.shared = "pending", false, false, nil
	img.Description, img.Deprecated, img.Protection, img.SourceInst = c.Params.Or("Description", ""), "", "disabled", ""
	img.SourceImage, img.SourceRegion, img.Tags = from.ImageID, source.Name, api.TagList{}
	img.Devices, img.waits, img.end = query.Set[mapping]{}, nil, next(c.s.copies, c.r.Name)
	if c.Params.Bool("CopyImageTags", false) && !from.seeded && c.owns(from) {
		img.Tags = from.Tags.Clone()
	}
	img.Tags.Set(tags.Items...)
	for _, m := range from.Devices.Items {
		if m.Ebs != nil && m.Ebs.SnapshotID != "" {
			old, ok := source.snapshots.Get(m.Ebs.SnapshotID)
			if !ok { // AWS keeps those of its public images to itself
				old = &snapshotT{SnapshotID: m.Ebs.SnapshotID, Size: m.Ebs.Size, login: from.login}
			}
			text := "Copied for DestinationAmi " + id + " from SourceAmi " + from.ImageID + " for SourceSnapshot " + old.SnapshotID
			snap := c.copyOf(old, source.Name, snapTags.Clone(), encrypted, c.Params.Get("KmsKeyId"), text)
			snap.applyEnd(img.end)
			if minutes > 0 {
				snap.TransferType, snap.CompletionMin = "time-based", minutes
			}
			ebs := *m.Ebs
			ebs.SnapshotID, ebs.Encrypted = snap.SnapshotID, snap.Encrypted
			m.Ebs = &ebs
			c.await(img, snap)
		}
		img.Devices.Items = append(img.Devices.Items, m)
	}
	c.r.images.Put(img.ImageID, img)
	c.StoreToken([]string{img.ImageID})
	return imageID{img.ImageID}, nil
}

type snapshotDeleted struct {
	ID   string `xml:"snapshotId"`
	Code string `xml:"returnCode"`
}

func deregisterImage(c *call) (any, error) {
	v, err := c.ownImage()
	if err != nil {
		return nil, err
	}
	if v.Protection != "disabled" {
		return nil, query.Errorf("OperationNotPermitted", "The image '%s' has deregistration protection enabled and can't be deregistered.", v.ImageID)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	for _, snap := range v.waits {
		if !snap.started(c.Now) { // the snapshot cannot start without its image
			c.s.removeSnapshot(c.r, snap)
		}
	}
	c.r.images.Remove(v.ImageID)
	c.r.deregistered[v.ImageID] = true
	c.r.freed[v.Name] = freedName{v.ImageID, c.Now.Add(c.s.cfg.Pace.Name)}
	answer := struct {
		Return  bool                       `xml:"return"`
		Deleted query.Set[snapshotDeleted] `xml:"deleteSnapshotResultSet"`
	}{Return: true}
	if c.Params.Bool("DeleteAssociatedSnapshots", false) {
		for _, m := range v.Devices.Items {
			if m.Ebs == nil {
				continue
			}
			code := "success"
			if c.r.userOf(m.Ebs.SnapshotID) != "" {
				code = "skipped"
			} else if snap, ok := c.r.snapshots.Get(m.Ebs.SnapshotID); ok {
				c.s.removeSnapshot(c.r, snap)
			}
			answer.Deleted.Items = append(answer.Deleted.Items, snapshotDeleted{m.Ebs.SnapshotID, code})
		}
	}
	return answer, nil
}
