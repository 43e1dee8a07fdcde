// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"context"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/machines"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type snapshotT struct {
	Tags          api.TagList `xml:"tagSet"`
	StorageTier   string      `xml:"storageTier"`
	TransferType  string      `xml:"transferType,omitempty"`
	CompletionMin int         `xml:"completionDurationMinutes,omitempty"`
	Completed     string      `xml:"completionTime,omitempty"`
	SnapshotID    string      `xml:"snapshotId"`
	VolumeID      string      `xml:"volumeId"`
	Status        string      `xml:"status"` // pending, completed, error
	StatusMessage string      `xml:"statusMessage,omitempty"`
	Started       string      `xml:"startTime"`
	Progress      string      `xml:"progress"`
	OwnerID       string      `xml:"ownerId"`
	Description   string      `xml:"description"`
	Size          int         `xml:"volumeSize"` // GiB
	Encrypted     bool        `xml:"encrypted"`
	KmsKeyID      string      `xml:"kmsKeyId,omitempty"`

	createdAt    time.Time
	visibleAt    time.Time // not found before
	duration     time.Duration
	job          *machines.Job
	failure      string // injected error message, if any
	waitsForStop bool   // starts once the machine is shut down
	layer        string
	login        string
	shared       api.Permissions
}

// noWork returns the job of a resource that needs no work on a machine.
func noWork() *machines.Job { return &machines.Job{Done: true} }

func (v *snapshotT) settle(s *Service, now time.Time) {
	if v.Status != "pending" {
		return
	}
	if !v.job.Done || now.Before(v.createdAt.Add(v.duration)) {
		v.Progress = s.cfg.Pace.Percent(now.Sub(v.createdAt), v.duration)
		return
	}
	if v.job.Err != nil {
		v.failure = v.job.Err.Error()
	}
	if v.failure != "" {
		v.Status, v.StatusMessage, v.Progress = "error", v.failure, ""
		return
	}
	v.Status, v.Progress, v.Completed = "completed", "100%", api.Stamp(now)
}

// started reports whether a snapshot exists. A snapshot that waits for its machine to
// shut down does not exist yet.
func (v *snapshotT) started(now time.Time) bool {
	return !now.Before(v.createdAt) && (!v.waitsForStop || v.job.Done)
}

// failWaiting fails the snapshots that wait for an instance to shut down, since a call
// stops or terminates it.
func (r *region) failWaiting(i *instanceT, now time.Time) {
	for _, v := range r.snapshots.All() {
		for _, d := range i.Devices.Items {
			if v.VolumeID == d.Ebs.VolumeID && v.Status == "pending" && !v.started(now) {
				v.createdAt, v.failure = now, "The instance was stopped or terminated before its snapshots started."
			}
		}
	}
}

// visible reports whether a snapshot is found and listed.
func (c *call) visible(v *snapshotT) bool {
	return v.started(c.Now) && !c.IsNew(v.createdAt) && !c.Now.Before(v.visibleAt)
}

func noSnapshot(id string) error {
	return query.Errorf("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
}

func (c *call) snapshot(id string) (*snapshotT, error) {
	if !api.WellFormed(id, "snap") {
		return nil, query.Errorf("InvalidSnapshotID.Malformed", "Invalid id: %q (expecting \"snap-...\")", id)
	}
	if v, ok := c.r.snapshots.Get(id); ok && c.visible(v) {
		return v, nil
	}
	return nil, noSnapshot(id)
}

// newSnapshot starts a snapshot of a volume.
func (c *call) newSnapshot(v *volume, description string, tags api.TagList) *snapshotT {
	snap := &snapshotT{
		Tags: tags, StorageTier: "standard", SnapshotID: c.s.ids.Next("snap"), VolumeID: v.VolumeID, Status: "pending", Started: api.Stamp(c.Now),
		OwnerID: c.s.cfg.AccountID, Description: description, Size: v.Size, Encrypted: v.Encrypted, KmsKeyID: v.KmsKeyID,
		createdAt: c.Now, duration: c.s.cfg.Pace.Image, job: noWork(), layer: v.layer, login: v.login,
	}
	snap.Progress = c.s.cfg.Pace.Percent(0, snap.duration)
	c.r.snapshots.Put(snap.SnapshotID, snap)
	return snap
}

// capture saves an instance's files as the layer of a snapshot of its root volume. With
// reboot, it shuts the machine down for that time, like EC2.
func (c *call) capture(i *instanceT, snap *snapshotT, reboot bool) {
	s := c.s
	if s.cfg.Host == nil {
		return
	}
	layer, down := snap.SnapshotID, reboot && i.State == running
	snap.layer = layer
	snap.job = i.queue.Each(func(ctx context.Context, m instance.Machine) error {
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
			i.queue.Watch(m, func() { s.poweredOff(i) })
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dropUnused(layer) // the snapshot may be deleted by now
		return err
	})
}

// dropUnused drops a layer that no snapshot or volume uses.
func (s *Service) dropUnused(layer string) {
	if layer == "" || s.cfg.Host == nil {
		return
	}
	for _, account := range s.others.all {
		if account.uses(layer) {
			return
		}
	}
	go func() {
		if err := s.cfg.Host.Drop(layer); err != nil {
			s.cfg.Log("dropping the layer %s: %v", layer, err)
		}
	}()
}

// uses reports whether a snapshot or volume of the account uses a layer.
func (s *Service) uses(layer string) bool {
	for _, r := range s.regions {
		for _, v := range r.snapshots.All() {
			if v.layer == layer {
				return true
			}
		}
		for _, v := range r.volumes.All() {
			if v.layer == layer {
				return true
			}
		}
	}
	return false
}

func createSnapshot(c *call) (any, error) {
	v, err := c.volume(c.Params.Get("VolumeId"))
	if err != nil {
		return nil, err
	}
	tags, err := c.TagsFor("snapshot")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	snap := c.newSnapshot(v, c.Params.Get("Description"), tags)
	if len(v.Attachments.Items) > 0 {
		a := v.Attachments.Items[0]
		if i, ok := c.r.instances.Get(a.InstanceID); ok && a.Device == i.RootName {
			c.capture(i, snap, false)
		}
	}
	return snap, nil
}

// copyOf starts a copy of a snapshot in the call's region.
func (c *call) copyOf(from *snapshotT, sourceRegion string, tags api.TagList, encrypted bool, key, description string) *snapshotT {
	encrypted = encrypted || from.Encrypted || c.r.encryption.on
	snap := &snapshotT{
		Tags: tags, StorageTier: "standard", TransferType: "standard", SnapshotID: c.s.ids.Next("snap"), VolumeID: "vol-ffffffff", Status: "pending",
		Started: api.Stamp(c.Now), OwnerID: c.s.cfg.AccountID, Description: description, Size: from.Size, Encrypted: encrypted,
		KmsKeyID: c.kmsArn(encrypted, key), createdAt: c.Now, duration: c.s.cfg.Pace.Copy, job: noWork(), layer: from.layer, login: from.login,
	}
	if description == "" {
		snap.Description = "[Copied " + from.SnapshotID + " from " + sourceRegion + "]"
	}
	if encrypted && !c.usableKey(key) || from.Encrypted && !c.reads(from) {
		snap.failure = keyNotAccessible
	}
	snap.Progress = c.s.cfg.Pace.Percent(0, snap.duration)
	c.r.snapshots.Put(snap.SnapshotID, snap)
	return snap
}

// applyEnd applies an injected result to a copy.
func (v *snapshotT) applyEnd(end ImageEnd) {
	if end.State != "" {
		v.failure = end.Reason
	}
	if end.Takes > 0 {
		v.duration = end.Takes
	}
}

func copySnapshot(c *call) (any, error) {
	source := c.s.regions[c.Params.Get("SourceRegion")]
	if source == nil || !source.optedIn() {
		return nil, query.Errorf("InvalidParameterValue", "The source region '%s' is invalid.", c.Params.Get("SourceRegion"))
	}
	from, ok := source.snapshots.Get(c.Params.Get("SourceSnapshotId"))
	if !ok {
		return nil, noSnapshot(c.Params.Get("SourceSnapshotId"))
	}
	if from.Status != "completed" {
		return nil, query.Errorf("IncorrectState", "The snapshot '%s' is not in the 'completed' state.", from.SnapshotID)
	}
	if err := checkEncrypts(c.Params.Get("KmsKeyId"), c.Params.Bool("Encrypted", false) || from.Encrypted || c.r.encryption.on); err != nil {
		return nil, err
	}
	tags, err := c.TagsFor("snapshot")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	snap := c.copyOf(from, source.Name, tags, c.Params.Bool("Encrypted", false), c.Params.Get("KmsKeyId"), c.Params.Get("Description"))
	snap.applyEnd(next(c.s.copies, c.r.Name))
	return struct {
		Tags api.TagList `xml:"tagSet"`
		ID   string      `xml:"snapshotId"`
	}{snap.Tags, snap.SnapshotID}, nil
}

func deleteSnapshot(c *call) (any, error) {
	v, err := c.snapshot(c.Params.Get("SnapshotId"))
	if err != nil {
		return nil, err
	}
	if user := c.r.userOf(v.SnapshotID); user != "" {
		return nil, query.Errorf("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", v.SnapshotID, user)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.s.removeSnapshot(c.r, v)
	return api.Success, nil
}

func (s *Service) removeSnapshot(r *region, v *snapshotT) {
	r.snapshots.Remove(v.SnapshotID)
	s.dropUnused(v.layer)
}

// userOf returns the id of the image that uses a snapshot.
func (r *region) userOf(id string) string {
	for _, img := range r.images.All() {
		for _, m := range img.Devices.Items {
			if m.Ebs != nil && m.Ebs.SnapshotID == id {
				return img.ImageID
			}
		}
	}
	return ""
}

func describeSnapshots(c *call) (any, error) {
	requested := c.Params.List("SnapshotId")
	for _, id := range requested {
		if _, err := c.snapshot(id); err != nil && c.sharedSnapshot(id) == nil {
			return nil, err
		}
	}
	var found []*snapshotT
	for _, v := range append(c.r.snapshots.All(), c.sharedSnapshots()...) {
		ok, err := c.Matches(v.Tags, func(name string) ([]string, bool) {
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
		mine := len(c.Params.List("Owner")) == 0
		for _, owner := range c.Params.List("Owner") {
			mine = mine || owner == "self" && v.OwnerID == c.s.cfg.AccountID || owner == v.OwnerID
		}
		if ok && mine && api.Contains(requested, v.SnapshotID) && c.visible(v) {
			found = append(found, v)
		}
	}
	set, next, err := api.Page(c.Request, found, 5)
	return struct {
		Snapshots query.Set[*snapshotT] `xml:"snapshotSet"`
		Next      string                `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func modifySnapshotAttribute(c *call) (any, error) {
	v, err := c.snapshot(c.Params.Get("SnapshotId"))
	if err != nil {
		return nil, err
	}
	if v.Encrypted && c.Params.Has("CreateVolumePermission.Add") || v.Encrypted && c.Params.Get("OperationType") == "add" {
		if err := shareable(v.KmsKeyID); err != nil {
			return nil, err
		}
	}
	after := append(api.Permissions(nil), v.shared...)
	after.Change(c.Params, "CreateVolumePermission")
	if kind, value, bad := after.Malformed(); bad {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter %s is invalid.", value, kind)
	}
	if err := c.publishable(v.shared, after, c.r.blocking.snapshots, "snapshot"); err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	v.shared = after
	return api.Success, nil
}

func describeSnapshotAttribute(c *call) (any, error) {
	v, err := c.snapshot(c.Params.Get("SnapshotId"))
	if err != nil {
		return nil, err
	}
	answer := struct {
		ID     string                     `xml:"snapshotId"`
		Shared *query.Set[api.Permission] `xml:"createVolumePermission"`
		Codes  *query.Set[struct{}]       `xml:"productCodes"`
	}{ID: v.SnapshotID}
	switch name := c.Params.Get("Attribute"); name {
	case "createVolumePermission":
		answer.Shared = &query.Set[api.Permission]{Items: v.shared}
	case "productCodes":
		answer.Codes = &query.Set[struct{}]{}
	default:
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return answer, nil
}
