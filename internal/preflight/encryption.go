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
)

// encryption checks, where images are to be shared and the configuration does
// not encrypt them, that the account does not do so by itself with a key that
// others cannot use.
func (p *plan) encryption(ctx context.Context, n *notes) {
	p.inRegions(n, func(region string, n *notes) {
		if p.Has[region] || slices.ContainsFunc(p.Keys, func(k Key) bool { return k.Region == region && k.OfImage }) {
			return
		}
		client := p.cloud.EC2(region)
		out, err := client.GetEbsEncryptionByDefault(ctx, &ec2.GetEbsEncryptionByDefaultInput{}, few)
		if err != nil {
			n.gap("whether the account encrypts by default what is to be shared", "ec2:GetEbsEncryptionByDefault", err)
			return
		}
		if !aws.ToBool(out.EbsEncryptionByDefault) {
			return
		}
		key, err := client.GetEbsDefaultKmsKeyId(ctx, &ec2.GetEbsDefaultKmsKeyIdInput{}, few)
		if err != nil {
			n.gap("the account's default key for EBS", "ec2:GetEbsDefaultKmsKeyId", err)
			return
		}
		n.find(judgeEncryption(region, aws.ToString(key.KmsKeyId), p.Sharing)...)
	})
}

// judgeEncryption is about a region that encrypts by default, with a key.
func judgeEncryption(region, key string, sharing Sharing) []Finding {
	value := fmt.Sprintf("the image in %s is to be shared, and the account encrypts by default there (with %s)", region, key)
	if sharing.publicImages() {
		return []Finding{{
			Attribute: "ami_groups", Value: value, Expected: "images that are not encrypted, as EC2 makes no others public",
			Remedy: fmt.Sprintf("aws ec2 disable-ebs-encryption-by-default --region %s, or name accounts in ami_users", region),
		}}
	}
	if key == defaultKey || strings.HasSuffix(key, ":"+defaultKey) {
		return []Finding{{
			Attribute: "encrypt_boot", Value: value, Expected: "a key of the account's own, as AWS's cannot be used by others",
			Remedy: fmt.Sprintf("set encrypt_boot = true and name one in kms_key_id or region_kms_key_ids, or make one the default: aws ec2 modify-ebs-default-kms-key-id --kms-key-id KEY --region %s", region),
		}}
	}
	return nil
}
