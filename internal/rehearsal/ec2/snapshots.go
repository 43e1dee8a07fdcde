// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"context"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type snapshotT struct {
	Tags          tagList `xml:"tagSet"`
	StorageTier   string  `xml:"storageTier"`
	TransferType  string  `xml:"transferType,omitempty"`
	CompletionMin int     `xml:"completionDurationMinutes,omitempty"`
	Completed     string  `xml:"completionTime,omitempty"`
	SnapshotID    string  `xml:"snapshotId"`
	VolumeID      string  `xml:"volumeId"`
	Status        string  `xml:"status"` // pending, completed, error
	StatusMessage string  `xml:"statusMessage,omitempty"`
	Started       string  `xml:"startTime"`
	Progress      string  `xml:"progress"`
	OwnerID       string  `xml:"ownerId"`
	Description   string  `xml:"description"`
	Size          int     `xml:"volumeSize"` // GiB
	Encrypted     bool    `xml:"encrypted"`
	KmsKeyID      string  `xml:"kmsKeyId,omitempty"`

	born   time.Time
	takes  time.Duration
	job    *job
	fails  string // the message that it ends with, if it is to fail
	ofDown bool   // it begins once the machine is down for it
	layer  string
	login  string
	shared permissions
}

// noLayer is the job of what has nothing to do on a machine.
func noLayer() *job { return &job{over: true} }

func (v *snapshotT) settle(s *Service, now time.Time) {
	if v.Status != "pending" {
		return
	}
	if !v.job.over || now.Before(v.born.Add(v.takes)) {
		v.Progress = s.cfg.Pace.Percent(now.Sub(v.born), v.takes)
		return
	}
	if v.job.err != nil {
		v.fails = v.job.err.Error()
	}
	if v.fails != "" {
		v.Status, v.StatusMessage, v.Progress = "error", v.fails, ""
		return
	}
	v.Status, v.Progress, v.Completed = "completed", "100%", stamp(now)
}

// begun says that a snapshot is there: one of a machine that is shut down for
// it is not, as yet.
func (v *snapshotT) begun(now time.Time) bool {
	return !now.Before(v.born) && (!v.ofDown || v.job.over)
}

// breakOff fails the snapshots that wait for an instance to be down, as somebody
// stops or ends it meanwhile.
func (r *region) breakOff(i *instanceT, now time.Time) {
	for _, v := range r.snapshots.all() {
		for _, d := range i.Devices.Items {
			if v.VolumeID == d.Ebs.VolumeID && v.Status == "pending" && !v.begun(now) {
				v.born, v.fails = now, "The instance did not run until its snapshots had begun."
			}
		}
	}
}

func noSnapshot(id string) error {
	return query.Errorf("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
}

func (c *call) snapshot(id string) (*snapshotT, error) {
	if !wellFormed(id, "snap") {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter snapshotId is invalid. Expected: 'snap-...'.", id)
	}
	if v, ok := c.r.snapshots.get(id); ok && !c.fresh(v.born) && v.begun(c.now) {
		return v, nil
	}
	return nil, noSnapshot(id)
}

// newSnapshot begins a snapshot of a volume; its layer is named after it.
func (c *call) newSnapshot(v *volume, description string, tags tagList) *snapshotT {
	snap := &snapshotT{
		Tags: tags, StorageTier: "standard", SnapshotID: c.s.ids.next("snap"), VolumeID: v.VolumeID, Status: "pending", Started: stamp(c.now),
		OwnerID: c.s.cfg.AccountID, Description: description, Size: v.Size, Encrypted: v.Encrypted, KmsKeyID: v.KmsKeyID,
		born: c.now, takes: c.s.cfg.Pace.Image, job: noLayer(), layer: v.layer, login: v.login,
	}
	snap.Progress = c.s.cfg.Pace.Percent(0, snap.takes)
	c.r.snapshots.put(snap.SnapshotID, snap)
	return snap
}

// capture freezes an instance's files as the layer of a snapshot of its root
// volume. With reboot the machine is down meanwhile, as EC2 does it.
func (c *call) capture(i *instanceT, snap *snapshotT, reboot bool) {
	s := c.s
	if s.cfg.Host == nil {
		return
	}
	r, layer, down := c.r, snap.SnapshotID, reboot && i.State == running
	snap.layer = layer
	snap.job = i.box.each(func(ctx context.Context, m instance.Machine) error {
		if down {
			if err := m.Stop(ctx); err != nil {
				return err
			}
		}
		err := m.Capture(ctx, layer)
		if down {
			if bootErr := m.Boot(ctx); err == nil {
				err = bootErr
			}
			i.box.watch(m, func() { s.poweredOff(r, i) })
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dropUnused(layer) // deleted in the meantime
		return err
	})
}

// dropUnused forgets a layer that nothing can be made from any more.
func (s *Service) dropUnused(layer string) {
	if layer == "" || s.cfg.Host == nil {
		return
	}
	for _, r := range s.regions {
		for _, v := range r.snapshots.all() {
			if v.layer == layer {
				return
			}
		}
		for _, v := range r.volumes.all() {
			if v.layer == layer {
				return
			}
		}
	}
	go func() {
		if err := s.cfg.Host.Drop(layer); err != nil {
			s.cfg.Log("%s: the layer was not dropped: %v", layer, err)
		}
	}()
}

func createSnapshot(c *call) (any, error) {
	v, err := c.volume(c.p.Get("VolumeId"))
	if err != nil {
		return nil, err
	}
	tags, err := c.tagsFor("snapshot")
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	snap := c.newSnapshot(v, c.p.Get("Description"), tags)
	if len(v.Attachments.Items) > 0 {
		a := v.Attachments.Items[0]
		if i, ok := c.r.instances.get(a.InstanceID); ok && a.Device == i.RootName {
			c.capture(i, snap, false)
		}
	}
	return snap, nil
}

// copyOf begins a copy of a snapshot into the call's region.
func (c *call) copyOf(from *snapshotT, sourceRegion string, tags tagList, encrypted bool, key, description string) *snapshotT {
	encrypted = encrypted || from.Encrypted || c.r.encryption.on
	snap := &snapshotT{
		Tags: tags, StorageTier: "standard", TransferType: "standard", SnapshotID: c.s.ids.next("snap"), VolumeID: "vol-ffffffff", Status: "pending",
		Started: stamp(c.now), OwnerID: c.s.cfg.AccountID, Description: description, Size: from.Size, Encrypted: encrypted,
		KmsKeyID: c.kmsArn(encrypted, key), born: c.now, takes: c.s.cfg.Pace.Copy, job: noLayer(), layer: from.layer, login: from.login,
	}
	if description == "" {
		snap.Description = "[Copied " + from.SnapshotID + " from " + sourceRegion + "]"
	}
	snap.Progress = c.s.cfg.Pace.Percent(0, snap.takes)
	c.r.snapshots.put(snap.SnapshotID, snap)
	return snap
}

// endsAs makes a copy end as it was told to.
func (v *snapshotT) endsAs(end CopyEnd) {
	if end.State != "" {
		v.fails = end.Reason
	}
	if end.Takes > 0 {
		v.takes = end.Takes
	}
}

func copySnapshot(c *call) (any, error) {
	source := c.s.regions[c.p.Get("SourceRegion")]
	if source == nil || !source.optedIn() {
		return nil, query.Errorf("InvalidParameterValue", "The source region '%s' is invalid.", c.p.Get("SourceRegion"))
	}
	from, ok := source.snapshots.get(c.p.Get("SourceSnapshotId"))
	if !ok {
		return nil, noSnapshot(c.p.Get("SourceSnapshotId"))
	}
	if from.Status != "completed" {
		return nil, query.Errorf("IncorrectState", "The snapshot '%s' is not in the 'completed' state.", from.SnapshotID)
	}
	tags, err := c.tagsFor("snapshot")
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	snap := c.copyOf(from, source.name, tags, c.p.Bool("Encrypted", false), c.p.Get("KmsKeyId"), c.p.Get("Description"))
	snap.endsAs(c.s.endOfCopy(c.r.name))
	return struct {
		Tags tagList `xml:"tagSet"`
		ID   string  `xml:"snapshotId"`
	}{snap.Tags, snap.SnapshotID}, nil
}

func deleteSnapshot(c *call) (any, error) {
	v, err := c.snapshot(c.p.Get("SnapshotId"))
	if err != nil {
		return nil, err
	}
	if user := c.r.userOf(v.SnapshotID); user != "" {
		return nil, query.Errorf("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", v.SnapshotID, user)
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	c.s.removeSnapshot(c.r, v)
	return done{true}, nil
}

func (s *Service) removeSnapshot(r *region, v *snapshotT) {
	r.snapshots.remove(v.SnapshotID)
	s.dropUnused(v.layer)
}

// userOf returns the image that a snapshot belongs to.
func (r *region) userOf(id string) string {
	for _, img := range r.images.all() {
		for _, m := range img.Devices.Items {
			if m.Ebs != nil && m.Ebs.SnapshotID == id {
				return img.ImageID
			}
		}
	}
	return ""
}

func describeSnapshots(c *call) (any, error) {
	asked := c.p.List("SnapshotId")
	for _, id := range asked {
		if _, err := c.snapshot(id); err != nil {
			return nil, err
		}
	}
	var found []*snapshotT
	for _, v := range c.r.snapshots.all() {
		ok, err := c.matches(v.Tags, func(name string) ([]string, bool) {
			value, ok := map[string]string{
				"snapshot-id": v.SnapshotID, "status": v.Status, "volume-id": v.VolumeID, "volume-size": strconv.Itoa(v.Size), "progress": v.Progress,
				"owner-id": v.OwnerID, "description": v.Description, "encrypted": strconv.FormatBool(v.Encrypted), "start-time": v.Started,
				"storage-tier": v.StorageTier, "transfer-type": v.TransferType,
			}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		mine := len(c.p.List("Owner")) == 0
		for _, owner := range c.p.List("Owner") {
			mine = mine || owner == "self" || owner == v.OwnerID
		}
		if ok && mine && contains(asked, v.SnapshotID) && v.begun(c.now) {
			found = append(found, v)
		}
	}
	set, next, err := page(c, found, 5)
	return struct {
		Snapshots query.Set[*snapshotT] `xml:"snapshotSet"`
		Next      string                `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func modifySnapshotAttribute(c *call) (any, error) {
	v, err := c.snapshot(c.p.Get("SnapshotId"))
	if err != nil {
		return nil, err
	}
	if v.Encrypted && c.p.Has("CreateVolumePermission.Add") || v.Encrypted && c.p.Get("OperationType") == "add" {
		if err := shareable(v.KmsKeyID); err != nil {
			return nil, err
		}
	}
	after := append(permissions(nil), v.shared...)
	after.change(c.p, "CreateVolumePermission")
	if err := c.publishable(v.shared, after, c.r.blocking.snapshots, "snapshot"); err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	v.shared = after
	return done{true}, nil
}

func describeSnapshotAttribute(c *call) (any, error) {
	v, err := c.snapshot(c.p.Get("SnapshotId"))
	if err != nil {
		return nil, err
	}
	answer := struct {
		ID     string                 `xml:"snapshotId"`
		Shared *query.Set[permission] `xml:"createVolumePermission"`
		Codes  *query.Set[struct{}]   `xml:"productCodes"`
	}{ID: v.SnapshotID}
	switch name := c.p.Get("Attribute"); name {
	case "createVolumePermission":
		answer.Shared = &query.Set[permission]{Items: v.shared}
	case "productCodes":
		answer.Codes = &query.Set[struct{}]{}
	default:
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return answer, nil
}
