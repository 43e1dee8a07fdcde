// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// Key encrypts the image of a region.
type Key struct {
	Attribute string // of the configuration
	Region    string
	ID        string // id, ARN or alias; empty is the account's default for EBS
	OfImage   bool   // of an image, which may be shared
}

// defaultKey is the key that EBS uses by default.
const defaultKey = "alias/aws/ebs"

// keys checks that all keys exist and are usable, and that the keys of shared
// images can be used by other accounts.
func (p *plan) keys(ctx context.Context, n *notes) {
	good, _ := p.regions()
	parts := make([]notes, len(p.Keys))
	all(len(p.Keys), func(i int) {
		if region := p.Keys[i].Region; region == p.BuildRegion || slices.Contains(good, region) {
			p.key(ctx, p.Keys[i], &parts[i])
		}
	})
	for i := range parts {
		n.take(&parts[i])
	}
}

func (p *plan) key(ctx context.Context, key Key, n *notes) {
	if p.Sharing.publicImages() && key.OfImage {
		n.find(Finding{Attribute: "ami_groups", Value: "got [\"all\"], but the images are encrypted", Expected: "unencrypted images, as EC2 does not make encrypted images public", Remedy: "set encrypt_boot = false, or list accounts in ami_users"})
	}
	shared := p.Sharing.any() && key.OfImage
	if key.ID == "" && shared { // the default key, which may be customer managed
		out, err := p.cloud.EC2(key.Region).GetEbsDefaultKmsKeyId(ctx, &ec2.GetEbsDefaultKmsKeyIdInput{}, few)
		if err != nil {
			n.gap("the account's default key for EBS", "ec2:GetEbsDefaultKmsKeyId", err)
			return
		}
		key.ID = aws.ToString(out.KmsKeyId)
		if strings.HasSuffix(key.ID, defaultKey) {
			key.ID = defaultKey
		}
	}
	if key.ID == "" || key.ID == defaultKey {
		if shared {
			n.find(unshareable(key, "the account's default key for EBS"))
		}
		return // AWS creates it on first use
	}
	client := p.cloud.Keys
	if client == nil {
		return
	}
	out, err := client(key.Region).DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(key.ID)})
	if err != nil {
		if missing := judgeKeyError(key, err); missing != nil {
			n.find(*missing)
			return
		}
		n.gap("whether the keys are usable", "kms:DescribeKey", err)
		return
	}
	findings := judgeKey(key, out.KeyMetadata, shared)
	n.find(findings...)
	if accounts := p.Sharing.accounts(); len(findings) == 0 && shared && len(accounts) > 0 {
		policy, err := client(key.Region).GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: out.KeyMetadata.KeyId, PolicyName: aws.String("default")})
		if err != nil {
			n.gap("whether the keys' policies include the accounts of ami_users", "kms:GetKeyPolicy", err)
			return
		}
		n.find(judgeKeyPolicy(key, aws.ToString(policy.Policy), accounts)...)
	}
}

func unshareable(key Key, what string) Finding {
	f := Finding{
		Attribute: key.Attribute, Value: fmt.Sprintf("the image in %s is shared, but encrypted with %s", key.Region, what),
		Expected: "a customer managed key, as other accounts cannot use AWS managed keys",
		Remedy:   "set kms_key_id, or region_kms_key_ids for copies, or do not share the images",
	}
	if strings.HasPrefix(key.Attribute, "source_ami") {
		f.Remedy = "set encrypt_boot = true and kms_key_id, and region_kms_key_ids for copies, or do not share the images"
	}
	return f
}

// judgeKeyError returns the finding for a key that KMS cannot describe; nil if the
// cause is unknown.
func judgeKeyError(key Key, err error) *Finding {
	switch code := awsclient.Code(err); code {
	case "NotFoundException", "InvalidArnException":
		return &Finding{
			Attribute: key.Attribute, Value: fmt.Sprintf("got %q, which is not a key in %s (%s)", key.ID, key.Region, code), Expected: "a key of that region",
			Remedy: fmt.Sprintf("list the keys with aws kms list-aliases --region %s", key.Region),
		}
	}
	return nil
}

// judgeKey checks the state and the kind of a key.
func judgeKey(key Key, m *kmstypes.KeyMetadata, shared bool) (findings []Finding) {
	if m == nil {
		return nil
	}
	if m.KeyState != "" && m.KeyState != kmstypes.KeyStateEnabled {
		findings = append(findings, Finding{
			Attribute: key.Attribute, Value: fmt.Sprintf("%q in %s is %s", key.ID, key.Region, m.KeyState), Expected: "an enabled key",
			Remedy: fmt.Sprintf("aws kms enable-key --key-id %s --region %s, or choose another key", aws.ToString(m.KeyId), key.Region),
		})
	}
	if m.KeySpec != "" && m.KeySpec != kmstypes.KeySpecSymmetricDefault || m.KeyUsage != "" && m.KeyUsage != kmstypes.KeyUsageTypeEncryptDecrypt {
		findings = append(findings, Finding{
			Attribute: key.Attribute, Value: fmt.Sprintf("%q in %s is a key of kind %s for %s", key.ID, key.Region, m.KeySpec, m.KeyUsage),
			Expected: "SYMMETRIC_DEFAULT for ENCRYPT_DECRYPT, as EBS supports no others",
		})
	}
	if shared && m.KeyManager == kmstypes.KeyManagerTypeAws {
		findings = append(findings, unshareable(key, fmt.Sprintf("the AWS managed key %q", key.ID)))
	}
	return findings
}

// judgeKeyPolicy warns of accounts that are not in the key's policy: they cannot
// launch from the shared image. It is no error, as a grant has the same effect.
func judgeKeyPolicy(key Key, text string, accounts []string) []Finding {
	var policy struct {
		Statement []struct {
			Effect    string
			Principal any
		}
	}
	if json.Unmarshal([]byte(text), &policy) != nil {
		return nil
	}
	var lacking []string
	for _, account := range accounts {
		named := false
		for _, s := range policy.Statement {
			named = named || s.Effect == "Allow" && names(s.Principal, account)
		}
		if !named {
			lacking = append(lacking, account)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return []Finding{{
		Attribute: key.Attribute, Value: fmt.Sprintf("the policy of %q in %s does not include %s, which cannot launch from the shared image", key.ID, key.Region, strings.Join(lacking, ", ")),
		Remedy: "allow them kms:DescribeKey, kms:ReEncrypt*, kms:CreateGrant and kms:Decrypt in the policy or by a grant", Warning: true,
	}}
}

// names reports whether a statement's Principal, in any form, includes the account.
func names(principal any, account string) bool {
	switch v := principal.(type) {
	case string:
		return v == "*" || v == account || strings.Contains(v, ":"+account+":")
	case []any:
		for _, part := range v {
			if names(part, account) {
				return true
			}
		}
	case map[string]any:
		return names(v["AWS"], account)
	}
	return false
}
