// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
)

// encryption checks shared images that the configuration does not encrypt: the
// account must not encrypt them by default with a key that others cannot use.
func (p *plan) encryption(ctx context.Context, n *notes) {
	p.inRegions(n, func(region string, n *notes) {
		if p.Has[region] || slices.ContainsFunc(p.Keys, func(k Key) bool { return k.Region == region && k.OfImage }) {
			return
		}
		if p.Launch != nil && region == p.BuildRegion && p.sourceEncrypted() {
			p.sourceKeys(ctx, n)
			return
		}
		client := p.cloud.EC2(region)
		out, err := client.GetEbsEncryptionByDefault(ctx, &ec2.GetEbsEncryptionByDefaultInput{}, few)
		if err != nil {
			n.gap("whether the account encrypts shared images by default", "ec2:GetEbsEncryptionByDefault", err)
			return
		}
		if !aws.ToBool(out.EbsEncryptionByDefault) && !p.sourceEncrypted() {
			return
		}
		key, err := client.GetEbsDefaultKmsKeyId(ctx, &ec2.GetEbsDefaultKmsKeyIdInput{}, few)
		if err != nil {
			n.gap("the account's default key for EBS", "ec2:GetEbsDefaultKmsKeyId", err)
			return
		}
		n.find(judgeEncryption(region, why(aws.ToBool(out.EbsEncryptionByDefault)), aws.ToString(key.KmsKeyId), p.Sharing)...)
	})
}

// sourceEncrypted reports whether the source image, or the image to copy, is
// encrypted. A copy in another region then uses the region's default key.
func (p *plan) sourceEncrypted() bool {
	if p.Launch == nil {
		return p.Encrypted
	}
	image, err := p.source()
	return err == nil && cleanup.IsEncrypted(image)
}

// sourceKeys checks the keys of an encrypted source image: its volumes, and so the
// new image, have the keys of its snapshots if the account owns these, or else the
// account's default key
// (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption.html#ebs-volume-encryption-outcomes).
func (p *plan) sourceKeys(ctx context.Context, n *notes) {
	image, err := p.source()
	if err != nil {
		return // another check reports it
	}
	var snapshots []string
	for _, m := range image.BlockDeviceMappings {
		if m.Ebs != nil && m.Ebs.SnapshotId != nil && aws.ToBool(m.Ebs.Encrypted) {
			snapshots = append(snapshots, *m.Ebs.SnapshotId)
		}
	}
	out, err := p.home.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{
		OwnerIds: []string{"self"}, MaxResults: aws.Int32(1000), Filters: []ec2types.Filter{{Name: aws.String("snapshot-id"), Values: snapshots}},
	}, few)
	if err != nil {
		n.gap("the keys of the source image's snapshots", "ec2:DescribeSnapshots", err)
		return
	}
	var keys []string
	for _, snapshot := range out.Snapshots {
		keys = append(keys, aws.ToString(snapshot.KmsKeyId))
	}
	if len(out.Snapshots) < len(snapshots) {
		keys = append(keys, "")
	}
	for _, id := range distinct(keys) {
		p.key(ctx, Key{Attribute: p.Launch.Source.Attribute, Region: p.BuildRegion, ID: id, OfImage: true}, n)
	}
}

func why(byDefault bool) string {
	if byDefault {
		return "the account encrypts by default in this region"
	}
	return "the source image is encrypted"
}

// judgeEncryption checks the key of a region where the image is encrypted.
func judgeEncryption(region, why, key string, sharing Sharing) []Finding {
	value := fmt.Sprintf("the image in %s is shared, but %s (with %s)", region, why, key)
	if sharing.publicImages() {
		return []Finding{{
			Attribute: "ami_groups", Value: value, Expected: "unencrypted images, as EC2 does not make encrypted images public",
			Remedy: fmt.Sprintf("aws ec2 disable-ebs-encryption-by-default --region %s, or list accounts in ami_users", region),
		}}
	}
	if key == defaultKey || strings.HasSuffix(key, ":"+defaultKey) {
		return []Finding{{
			Attribute: "encrypt_boot", Value: value, Expected: "a customer managed key, as other accounts cannot use AWS managed keys",
			Remedy: fmt.Sprintf("set encrypt_boot = true and kms_key_id or region_kms_key_ids, or change the default key: aws ec2 modify-ebs-default-kms-key-id --kms-key-id KEY --region %s", region),
		}}
	}
	return nil
}
