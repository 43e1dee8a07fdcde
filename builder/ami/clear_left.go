// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// clearLeft removes what a killed run of a resumed build has left, but for its
// images: an instance that nobody uses any more, and what it was launched with.
// What it cannot remove is in the ledger, and no reason to fail.
func (b *build) clearLeft(ctx context.Context, state multistep.StateBag) {
	region := b.clients.Region()
	client := b.clients.EC2(region)
	ofBuild := []ec2types.Filter{{Name: aws.String("tag:" + tags.BuildID), Values: []string{b.config.buildID}}}
	left := b.instancesLeft(ctx, client, ofBuild)
	if volumes, err := client.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{Filters: ofBuild}); err == nil {
		for _, v := range volumes.Volumes {
			left = append(left, ledger.Entry{Kind: ledger.Volume, Region: region, ID: aws.ToString(v.VolumeId)})
		}
	}
	if groups, err := client.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: ofBuild}); err == nil {
		for _, g := range groups.SecurityGroups {
			left = append(left, ledger.Entry{Kind: ledger.SecurityGroup, Region: region, ID: aws.ToString(g.GroupId)})
		}
	}
	if keys, err := client.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: ofBuild}); err == nil {
		for _, k := range keys.KeyPairs {
			left = append(left, ledger.Entry{Kind: ledger.KeyPair, Region: region, ID: aws.ToString(k.KeyPairId)})
		}
	}
	for _, where := range b.config.imageRegions(region) {
		left = append(left, b.snapshotsLeft(ctx, where, ofBuild)...)
	}
	var removed []string
	for _, entry := range left {
		b.ledger.Add(entry)
		if err := b.removeLeft(ctx, entry); err != nil {
			uiOf(state).Errorf("removing %s, which the build has left in %s: %s", entry.ID, entry.Region, err)
			continue
		}
		b.ledger.Strike(entry.Region, entry.ID)
		removed = append(removed, entry.ID)
	}
	if len(removed) > 0 {
		uiOf(state).Sayf("Removed what an earlier run of the build has left: %s", strings.Join(removed, ", "))
	}
}

func (b *build) instancesLeft(ctx context.Context, client *ec2api.EC2, ofBuild []ec2types.Filter) (left []ledger.Entry) {
	pages := ec2.NewDescribeInstancesPaginator(client, &ec2.DescribeInstancesInput{Filters: append(slices.Clone(ofBuild), ec2types.Filter{
		Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopping", "stopped"},
	})})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return left
		}
		for _, reservation := range page.Reservations {
			for _, i := range reservation.Instances {
				left = append(left, ledger.Entry{Kind: ledger.Instance, Region: b.clients.Region(), ID: aws.ToString(i.InstanceId)})
			}
		}
	}
	return left
}

// snapshotsLeft are those that no image holds any more. A pending image may not
// name its snapshots yet, so nothing is taken for left where there is one.
func (b *build) snapshotsLeft(ctx context.Context, region string, ofBuild []ec2types.Filter) (left []ledger.Entry) {
	client := b.clients.EC2(region)
	images, err := distribute.Find(ctx, client, map[string]string{"tag:" + tags.BuildID: b.config.buildID})
	if err != nil {
		return nil
	}
	held := map[string]bool{}
	for _, image := range images {
		if image.State == ec2types.ImageStatePending {
			return nil
		}
		for _, id := range distribute.Of(region, image).Snapshots {
			held[id] = true
		}
	}
	pages := ec2.NewDescribeSnapshotsPaginator(client, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: ofBuild})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return left
		}
		for _, s := range page.Snapshots {
			if id := aws.ToString(s.SnapshotId); !held[id] && tagMap(s.Tags)[tags.State] == tags.Building {
				left = append(left, ledger.Entry{Kind: ledger.Snapshot, Region: region, ID: id})
			}
		}
	}
	return left
}

func (b *build) removeLeft(ctx context.Context, entry ledger.Entry) error {
	client := b.clients.EC2(entry.Region)
	var err error
	switch entry.Kind {
	case ledger.Instance:
		if _, err = client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{entry.ID}}); err == nil {
			err = b.awaitGone(ctx, client, entry.ID)
		}
	case ledger.Volume:
		_, err = client.DeleteVolume(ctx, &ec2.DeleteVolumeInput{VolumeId: aws.String(entry.ID)})
	case ledger.SecurityGroup:
		_, err = client.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: aws.String(entry.ID)})
	case ledger.KeyPair:
		_, err = client.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyPairId: aws.String(entry.ID)})
	case ledger.Snapshot:
		_, err = client.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(entry.ID)})
	}
	if ec2api.IsNotFound(err) { // a volume goes with its instance
		return nil
	}
	return err
}
