// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type imageID struct {
	ID string `xml:"imageId"`
}

// newImage returns a pending image of the account.
func (c *call) newImage(name string) *image {
	id := c.s.ids.next("ami")
	return &image{
		Platform: "Linux/UNIX", UsageOp: "RunInstances", Hypervisor: "xen", Name: name, RootType: "ebs", VirtType: "hvm", EnaSupport: true,
		ImageID: id, Location: c.s.cfg.AccountID + "/" + name, State: "pending", OwnerID: c.s.cfg.AccountID, Created: stamp(c.now),
		Kind: "machine", Protection: "disabled", born: c.now,
	}
}

func createImage(c *call) (any, error) {
	i, err := c.instance(c.p.Get("InstanceId"))
	if err != nil {
		return nil, err
	}
	if i.State != running && i.State != stopped && i.State != stopping {
		return nil, query.Errorf("IncorrectState", "Instance %s is in state '%s', expected 'running' or 'stopped'", i.InstanceID, i.State.Name)
	}
	name := c.p.Get("Name")
	if err := c.checkName(name); err != nil {
		return nil, err
	}
	tags, err := c.tagsFor("image")
	if err != nil {
		return nil, err
	}
	snapTags, err := c.tagsFor("snapshot")
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	left, extra := map[string]bool{}, map[string]query.Params{}
	for _, p := range c.p.Items("BlockDeviceMapping") {
		left[p.Get("DeviceName")] = p.Has("NoDevice")
		extra[p.Get("DeviceName")] = p.Sub("Ebs")
	}
	img := c.newImage(name)
	img.Tags, img.Description, img.SourceInst = tags, c.p.Get("Description"), i.InstanceID
	img.Architecture, img.RootName, img.login, img.EnaSupport, img.SriovNet = i.Architecture, i.RootName, i.login, i.EnaSupport, i.SriovNet
	img.Platform, img.UsageOp = i.Platform, i.UsageOp
	if from, ok := c.r.images.get(i.ImageID); ok {
		img.BootMode, img.Imds, img.SourceImage, img.SourceRegion = from.BootMode, from.Imds, from.ImageID, c.r.name
	}
	for _, d := range i.Devices.Items {
		v, ok := c.r.volumes.get(d.Ebs.VolumeID)
		if !ok || left[d.Name] {
			continue
		}
		snap := c.newSnapshot(v, "Created by CreateImage("+i.InstanceID+") for "+img.ImageID, snapTags.clone())
		if i.State == running && !c.p.Bool("NoReboot", false) {
			snap.born, snap.ofDown = c.now.Add(c.s.cfg.Pace.Reboot), true
		}
		if d.Name == i.RootName {
			c.capture(i, snap, !c.p.Bool("NoReboot", false))
		}
		img.waits = append(img.waits, snap)
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
	c.r.images.put(img.ImageID, img)
	return imageID{img.ImageID}, nil
}

func registerImage(c *call) (any, error) {
	name := c.p.Get("Name")
	if err := c.checkName(name); err != nil {
		return nil, err
	}
	root := c.p.Get("RootDeviceName")
	if root == "" {
		return nil, query.Errorf("MissingParameter", "The request must contain the parameter rootDeviceName")
	}
	img := c.newImage(name)
	img.Architecture, img.RootName, img.Description = c.p.Or("Architecture", "i386"), root, c.p.Get("Description")
	img.VirtType, img.EnaSupport = c.p.Or("VirtualizationType", "paravirtual"), c.p.Bool("EnaSupport", false)
	img.BootMode, img.Imds, img.SriovNet, img.State, img.login = c.p.Get("BootMode"), c.p.Get("ImdsSupport"), c.p.Get("SriovNetSupport"), "available", "ubuntu"
	hasRoot := false
	for _, p := range c.p.Items("BlockDeviceMapping") {
		d := disk{kind: "standard", onEnd: true}
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
		if err := c.overlay(&d, ebs); err != nil {
			return nil, err
		}
		hasRoot = hasRoot || p.Get("DeviceName") == root && d.snapshot != ""
		img.Devices.Items = append(img.Devices.Items, mapping{Name: p.Get("DeviceName"), Ebs: &mappingEbs{d.onEnd, d.iops, d.snapshot, d.size, d.kind, d.throughput, d.encrypted}})
	}
	if !hasRoot {
		return nil, query.Errorf("InvalidBlockDeviceMapping", "The device '%s' is the root device, and it must have a snapshot.", root)
	}
	tags, err := c.tagsFor("image")
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	img.Tags = tags
	c.r.images.put(img.ImageID, img)
	return imageID{img.ImageID}, nil
}

func copyImage(c *call) (any, error) {
	ids, again, err := c.remember()
	if err != nil {
		return nil, err
	}
	if again {
		return imageID{ids[0]}, nil
	}
	source := c.s.regions[c.p.Get("SourceRegion")]
	if source == nil || !source.optedIn() {
		return nil, query.Errorf("InvalidParameterValue", "The source region '%s' is invalid.", c.p.Get("SourceRegion"))
	}
	there := *c
	there.r = source
	from, err := there.image(c.p.Get("SourceImageId"))
	if err != nil {
		return nil, err
	}
	if from.State != "available" {
		return nil, query.Errorf("InvalidAMIID.Unavailable", "The image ID '%s' is not available", from.ImageID)
	}
	if err := c.checkName(c.p.Get("Name")); err != nil {
		return nil, err
	}
	encrypted := c.p.Bool("Encrypted", false)
	if c.p.Get("KmsKeyId") != "" && !encrypted { // amazon-ebs sends an empty one
		return nil, query.Errorf("InvalidParameterCombination", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	minutes, err := c.p.Int("SnapshotCopyCompletionDurationMinutes", 0)
	if err != nil {
		return nil, err
	}
	if minutes != 0 && (minutes%15 != 0 || minutes < 15 || minutes > 2880) {
		return nil, query.Errorf("InvalidParameterValue", "The completion duration must be between 15 and 2880 minutes, in steps of 15.")
	}
	tags, err := c.tagsFor("image")
	if err != nil {
		return nil, err
	}
	snapTags, err := c.tagsFor("snapshot")
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}

	img := c.newImage(c.p.Get("Name"))
	id, location, created := img.ImageID, img.Location, img.Created
	kept := *from // what a copy takes over
	*img = kept
	img.ImageID, img.Location, img.Created, img.born, img.Name = id, location, created, c.now, c.p.Get("Name")
	img.OwnerID, img.State, img.Public, img.seeded, img.shared = c.s.cfg.AccountID, "pending", false, false, nil
	img.Description, img.Deprecated, img.Protection, img.SourceInst = c.p.Or("Description", ""), "", "disabled", ""
	img.SourceImage, img.SourceRegion, img.Tags = from.ImageID, source.name, tagList{}
	img.Devices, img.waits, img.end = query.Set[mapping]{}, nil, c.s.endOfCopy(c.r.name)
	if c.p.Bool("CopyImageTags", false) && !from.seeded {
		img.Tags = from.Tags.clone()
	}
	img.Tags.set(tags.Items...)
	for _, m := range from.Devices.Items {
		if m.Ebs != nil {
			old, ok := source.snapshots.get(m.Ebs.SnapshotID)
			if !ok { // AWS keeps those of its public images to itself
				old = &snapshotT{SnapshotID: m.Ebs.SnapshotID, Size: m.Ebs.Size, login: from.login}
			}
			text := "Copied for DestinationAmi " + id + " from SourceAmi " + from.ImageID + " for SourceSnapshot " + old.SnapshotID
			snap := c.copyOf(old, source.name, snapTags.clone(), encrypted, c.p.Get("KmsKeyId"), text)
			snap.endsAs(img.end)
			if minutes > 0 {
				snap.TransferType, snap.CompletionMin = "time-based", minutes
			}
			ebs := *m.Ebs
			ebs.SnapshotID, ebs.Encrypted = snap.SnapshotID, snap.Encrypted
			m.Ebs = &ebs
			img.waits = append(img.waits, snap)
		}
		img.Devices.Items = append(img.Devices.Items, m)
	}
	c.r.images.put(img.ImageID, img)
	c.keep([]string{img.ImageID})
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
	if err := c.commit(); err != nil {
		return nil, err
	}
	for _, snap := range v.waits {
		if !snap.begun(c.now) { // nothing is left to begin it for
			c.s.removeSnapshot(c.r, snap)
		}
	}
	c.r.images.remove(v.ImageID)
	c.r.gone[v.ImageID] = true
	answer := struct {
		Return  bool                       `xml:"return"`
		Deleted query.Set[snapshotDeleted] `xml:"deleteSnapshotResultSet"`
	}{Return: true}
	if c.p.Bool("DeleteAssociatedSnapshots", false) {
		for _, m := range v.Devices.Items {
			if m.Ebs == nil {
				continue
			}
			code := "success"
			if c.r.userOf(m.Ebs.SnapshotID) != "" {
				code = "skipped"
			} else if snap, ok := c.r.snapshots.get(m.Ebs.SnapshotID); ok {
				c.s.removeSnapshot(c.r, snap)
			}
			answer.Deleted.Items = append(answer.Deleted.Items, snapshotDeleted{m.Ebs.SnapshotID, code})
		}
	}
	return answer, nil
}
