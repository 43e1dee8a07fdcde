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
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// Key encrypts the image of a region.
type Key struct {
	Attribute string // of the configuration
	Region    string
	ID        string // id, ARN or alias; empty is the account's default for EBS
	OfImage   bool   // of an image, which others may get
}

// defaultKey is what EBS encrypts with if nothing else was chosen.
const defaultKey = "alias/aws/ebs"

// keys checks that every key is there and usable, and that those whose images
// are shared can be.
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
		n.find(Finding{Attribute: "ami_groups", Value: "[\"all\"], but the images are encrypted", Expected: "images that are not encrypted, as EC2 makes no others public", Remedy: "set encrypt_boot = false, or name accounts in ami_users"})
	}
	shared := p.Sharing.any() && key.OfImage
	if key.ID == "" || key.ID == defaultKey {
		if shared {
			n.find(unshareable(key, "the account's default key for EBS"))
		}
		return // it is made when it is first used
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
		n.gap("whether the keys can be used", "kms:DescribeKey", err)
		return
	}
	findings := judgeKey(key, out.KeyMetadata, shared)
	n.find(findings...)
	if accounts := p.Sharing.accounts(); len(findings) == 0 && shared && len(accounts) > 0 {
		policy, err := client(key.Region).GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: out.KeyMetadata.KeyId, PolicyName: aws.String("default")})
		if err != nil {
			n.gap("whether the keys' policies name the accounts of ami_users", "kms:GetKeyPolicy", err)
			return
		}
		n.find(judgeKeyPolicy(key, aws.ToString(policy.Policy), accounts)...)
	}
}

func unshareable(key Key, what string) Finding {
	return Finding{
		Attribute: key.Attribute, Value: fmt.Sprintf("the image in %s is to be shared, and encrypted with %s", key.Region, what),
		Expected: "a key of the account's own, as AWS's cannot be used by others",
		Remedy:   "name one in kms_key_id, or region_kms_key_ids for copies, or share with nobody",
	}
}

// judgeKeyError says what is wrong with a key that KMS does not describe; nil
// where that is not known.
func judgeKeyError(key Key, err error) *Finding {
	switch code := ec2api.Code(err); code {
	case "NotFoundException", "InvalidArnException":
		return &Finding{
			Attribute: key.Attribute, Value: fmt.Sprintf("%q is no key in %s (%s)", key.ID, key.Region, code), Expected: "a key of that region",
			Remedy: fmt.Sprintf("aws kms list-aliases --region %s lists them", key.Region),
		}
	}
	return nil
}

// judgeKey looks at a key's state and kind.
func judgeKey(key Key, m *kmstypes.KeyMetadata, shared bool) (findings []Finding) {
	if m == nil {
		return nil
	}
	if m.KeyState != "" && m.KeyState != kmstypes.KeyStateEnabled {
		findings = append(findings, Finding{
			Attribute: key.Attribute, Value: fmt.Sprintf("%q in %s is %s", key.ID, key.Region, m.KeyState), Expected: "a key that is enabled",
			Remedy: fmt.Sprintf("aws kms enable-key --key-id %s --region %s, or name another", aws.ToString(m.KeyId), key.Region),
		})
	}
	if m.KeySpec != "" && m.KeySpec != kmstypes.KeySpecSymmetricDefault || m.KeyUsage != "" && m.KeyUsage != kmstypes.KeyUsageTypeEncryptDecrypt {
		findings = append(findings, Finding{
			Attribute: key.Attribute, Value: fmt.Sprintf("%q in %s is a key of kind %s for %s", key.ID, key.Region, m.KeySpec, m.KeyUsage),
			Expected: "SYMMETRIC_DEFAULT for ENCRYPT_DECRYPT, as EBS takes no other",
		})
	}
	if shared && m.KeyManager == kmstypes.KeyManagerTypeAws {
		findings = append(findings, unshareable(key, fmt.Sprintf("AWS's key %q", key.ID)))
	}
	return findings
}

// judgeKeyPolicy warns of accounts that the key's policy does not name: they
// get the image, and cannot launch from it. A grant would do as well, and so
// it is no error.
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
		Attribute: key.Attribute, Value: fmt.Sprintf("the policy of %q in %s does not name %s, which get the image and cannot launch from it", key.ID, key.Region, strings.Join(lacking, ", ")),
		Remedy: "allow them kms:DescribeKey, kms:ReEncrypt*, kms:CreateGrant and kms:Decrypt there, unless a grant does", Warning: true,
	}}
}

// names says that a statement's Principal, whatever its shape, has the account.
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
