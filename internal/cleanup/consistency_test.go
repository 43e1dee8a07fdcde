// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// imageOfTwo makes an image of an instance with two volumes.
func (a *account) imageOfTwo() cleanup.Entry {
	a.Helper()
	images, err := a.ec2.DescribeImages(a.Context(), &ec2.DescribeImagesInput{
		MaxResults: aws.Int32(100), Owners: []string{"099720109477"}, Filters: []types.Filter{{Name: aws.String("architecture"), Values: []string{"x86_64"}}},
	})
	a.check(err)
	out, err := a.ec2.RunInstances(a.Context(), &ec2.RunInstancesInput{
		ImageId: images.Images[0].ImageId, InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sdf"), Ebs: &types.EbsBlockDevice{VolumeSize: aws.Int32(1), DeleteOnTermination: aws.Bool(true)}}},
	})
	a.check(err)
	instance := cleanup.Entry{Kind: cleanup.Instance, Region: region, ID: *out.Instances[0].InstanceId, Seen: true}
	time.Sleep(2 * unseen)
	made, err := a.ec2.CreateImage(a.Context(), &ec2.CreateImageInput{InstanceId: &instance.ID, Name: aws.String("an-image"), TagSpecifications: []types.TagSpecification{
		{ResourceType: types.ResourceTypeImage, Tags: []types.Tag{{Key: aws.String(tags.BuildID), Value: aws.String("b")}, {Key: aws.String(tags.State), Value: aws.String(tags.Building)}}},
	}})
	a.check(err)
	a.check(a.remover().Remove(a.Context(), instance))
	return cleanup.Entry{Kind: cleanup.Image, Region: region, ID: *made.ImageId}
}

// available waits until EC2 has an image.
func (a *account) available(e cleanup.Entry) (image types.Image) {
	a.Helper()
	for {
		out, err := a.ec2.DescribeImages(a.Context(), &ec2.DescribeImagesInput{ImageIds: []string{e.ID}, IncludeDisabled: aws.Bool(true)})
		if err == nil && len(out.Images) == 1 && out.Images[0].State != types.ImageStatePending {
			return out.Images[0]
		}
		a.check(a.Context().Err())
		time.Sleep(time.Millisecond)
	}
}

// left lists what there is.
func (a *account) left() (left []string) {
	for _, r := range a.server.Inventory()[region] {
		left = append(left, r.Kind+" "+r.ID)
	}
	return left
}

// An image and its snapshots are gone after a removal, however late and in whatever
// parts EC2 returns them.
func TestConsistencyFaults(t *testing.T) {
	remove := func(a *account, e cleanup.Entry) { a.check(a.remover().Remove(a.Context(), e)) }
	for _, test := range []struct {
		name    string
		pending time.Duration
		faults  []rehearsal.Fault
		first   func(*account, cleanup.Entry) // before the removal
		known   int                           // snapshots, to the ledger
		remove  func(*account, cleanup.Entry)
	}{
		{name: "found late", remove: remove},
		{name: "snapshots listed one after the other", faults: []rehearsal.Fault{{Region: region, SnapshotDelay: "700ms"}}, known: 2, remove: remove},
		{name: "a pending image, its snapshots listed one after the other", pending: time.Hour, faults: []rehearsal.Fault{{Region: region, SnapshotDelay: "700ms"}}, known: 2, remove: remove},
		{name: "an empty page", faults: []rehearsal.Fault{{Region: region, PageSize: 1}}, known: 2, remove: remove},
		{name: "deregistered before", first: func(a *account, e cleanup.Entry) {
			a.available(e)
			_, err := a.ec2.DeregisterImage(a.Context(), &ec2.DeregisterImageInput{ImageId: &e.ID})
			a.check(err)
		}, known: 2, remove: remove},
		{name: "disabled", first: func(a *account, e cleanup.Entry) {
			a.available(e)
			_, err := a.ec2.DisableImage(a.Context(), &ec2.DisableImageInput{ImageId: &e.ID})
			a.check(err)
		}, remove: remove},
		{name: "a sweep of a disabled image, in pages", faults: []rehearsal.Fault{{Region: region, PageSize: 1}}, first: func(a *account, e cleanup.Entry) {
			image := a.available(e)
			_, err := a.ec2.DisableImage(a.Context(), &ec2.DisableImageInput{ImageId: &e.ID})
			a.check(err)
			_, err = a.ec2.CreateTags(a.Context(), &ec2.CreateTagsInput{Resources: cleanup.SnapshotsOf(image), Tags: image.Tags})
			a.check(err)
		}, remove: (*account).sweepImage},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t)
			if test.pending > 0 {
				a.server = rehearsal.New(rehearsal.Config{Pace: pace.Profile{NotFound: unseen, Image: test.pending}})
				a.ec2 = ec2.NewFromConfig(a.server.AWSConfig(region))
			}
			for _, fault := range test.faults {
				a.server.AddFault(fault)
			}
			entry := a.imageOfTwo()
			entry.Snapshots = test.known
			a.book.Add(entry)
			if test.first != nil {
				test.first(a, entry)
			}
			test.remove(a, cleanup.Entry{Kind: cleanup.Image, Region: region, ID: entry.ID})
			time.Sleep(2 * unseen) // nothing appears later
			if left := a.left(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// sweepImage sweeps the build of imageOfTwo.
func (a *account) sweepImage(e cleanup.Entry) {
	a.Helper()
	choice := cleanup.Choice{BuildID: "b"}
	plan, err := cleanup.Find(a.Context(), a.ec2, region, choice, now)
	a.check(err)
	if len(plan) != 3 {
		a.Errorf("found %v, want %s and its two snapshots", plan, e.ID)
	}
	s := (&swept{T: a.T, aws: a.server}).sweeper(choice)
	for _, o := range s.Remove(a.Context(), plan) {
		if o.Err != nil || o.Kept != "" {
			a.Errorf("%s: %v %s", o.ID, o.Err, o.Kept)
		}
	}
}

// The same image, registered again under another name, keeps its snapshots.
func TestSharedSnapshotsAreKept(t *testing.T) {
	a := newAccount(t)
	entry := a.imageOfTwo()
	image := a.available(entry)
	for _, device := range image.BlockDeviceMappings {
		device.Ebs.Encrypted = nil // EC2 takes it from the snapshot
	}
	again, err := a.ec2.RegisterImage(t.Context(), &ec2.RegisterImageInput{Name: aws.String("again"), RootDeviceName: image.RootDeviceName, BlockDeviceMappings: image.BlockDeviceMappings})
	a.check(err)
	time.Sleep(2 * unseen)
	a.book.Add(entry)
	r := a.remover()
	r.Patience = time.Minute // that another image uses them is no reason to wait
	a.check(r.Remove(t.Context(), entry))
	if left := strings.Join(a.left(), ", "); strings.Contains(left, entry.ID) || !strings.Contains(left, *again.ImageId) || strings.Count(left, "snapshot") != 2 {
		t.Errorf("left %s, want %s with both snapshots", left, *again.ImageId)
	}
	if left := a.book.Left(); len(left) > 0 {
		t.Errorf("the ledger has %v, want nothing", left)
	}
	a.check(r.Remove(t.Context(), cleanup.Entry{Kind: cleanup.Image, Region: region, ID: *again.ImageId, Seen: true}))
	if left := a.left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
