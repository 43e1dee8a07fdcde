// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

const (
	plain  = "not encrypted"
	awsKey = "AWS's key"
)

// TestEncryption checks the key of the images in each region, with the preflight of the
// keys.
func TestEncryption(t *testing.T) {
	for _, test := range []struct {
		name   string
		config func(here, there string) map[string]any // keys of eu-central-1 and us-east-1
		here   string                                  // "" is the user's key in the region
		there  string
		copies int
	}{
		{"by default", func(string, string) map[string]any { return nil }, plain, plain, 1},
		{"encrypt_boot = false", func(string, string) map[string]any { return map[string]any{"encrypt_boot": false} }, plain, plain, 1},
		{"with AWS's keys", func(string, string) map[string]any { return map[string]any{"encrypt_boot": true} }, awsKey, awsKey, 2},
		{"with a key of the build's region", func(here, _ string) map[string]any {
			return map[string]any{"encrypt_boot": true, "kms_key_id": here}
		}, "", awsKey, 2},
		{"with a key per region", func(here, there string) map[string]any {
			return map[string]any{"encrypt_boot": true, "kms_key_id": here, "region_kms_key_ids": map[string]string{"us-east-1": there}}
		}, "", "", 2},
		{"with a key in another region", func(_, there string) map[string]any {
			return map[string]any{"encrypt_boot": true, "region_kms_key_ids": map[string]string{"us-east-1": there}}
		}, awsKey, "", 2},
		{"a volume that is encrypted from the start", func(here, _ string) map[string]any {
			return map[string]any{"launch_block_device_mappings": []map[string]any{{"device_name": "/dev/sda1", "volume_size": 8, "encrypted": true, "kms_key_id": here, "delete_on_termination": true}}}
		}, "", awsKey, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			clients := awsclient.New(w.awsConfig(w), "")
			keys := map[string]string{}
			for _, region := range []string{"eu-central-1", "us-east-1"} {
				made, err := clients.KMS(region).CreateKey(t.Context(), &kms.CreateKeyInput{})
				if err != nil {
					t.Fatal(err)
				}
				keys[region] = *made.KeyMetadata.KeyId
			}
			artifact, err := w.build(t, t.Context(), test.config(keys["eu-central-1"], keys["us-east-1"]))
			if err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, "eu-central-1", "us-east-1") // and no intermediary image
			for region, want := range map[string]string{"eu-central-1": test.here, "us-east-1": test.there} {
				snapshots, err := w.client(region).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: reportOf(t, artifact).Snapshots[region]})
				if err != nil {
					t.Fatal(err)
				}
				images, err := w.client(region).DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
				if err != nil {
					t.Fatal(err)
				}
				snapshot, got := snapshots.Snapshots[0], plain
				if key := aws.ToString(snapshot.KmsKeyId); aws.ToBool(snapshot.Encrypted) {
					got = awsKey
					if strings.Contains(key, keys[region]) {
						got = ""
					}
					if !strings.Contains(key, region) {
						t.Errorf("%s: got snapshot key %s", region, key)
					}
				}
				if said := aws.ToBool(images.Images[0].BlockDeviceMappings[0].Ebs.Encrypted); got != want || said != (want != plain) {
					t.Errorf("%s: got key %q, encrypted %v in the image; want key %q (\"\" is the user's key)", region, got, said, want)
				}
			}
			calls := w.aws.Calls()
			if copies := calls["us-east-1"]["CopyImage"] + calls["eu-central-1"]["CopyImage"]; copies < test.copies {
				t.Errorf("got %d copies, want %d", copies, test.copies)
			}
		})
	}
}

// TestInstanceMetadata: the instance requires IMDSv2 by default. The images in all
// regions require it if imds_support is set.
func TestInstanceMetadata(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]any
		tokens string // of the instance
		images string // imdsSupport
	}{
		{"by default", nil, "required", ""},
		{"as amazon-ebs does", map[string]any{"metadata_options": map[string]any{"http_tokens": "optional"}}, "optional", ""},
		{"other options keep the default", map[string]any{"metadata_options": map[string]any{"http_put_response_hop_limit": 2}}, "required", ""},
		{"for the images too", map[string]any{"imds_support": "v2.0"}, "required", "v2.0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLaunches(t)
			said := ""
			l.onCall = func(int) {
				found, err := l.client("eu-central-1").DescribeInstances(t.Context(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				said = string(found.Reservations[0].Instances[0].MetadataOptions.HttpTokens)
			}
			if _, err := l.build(t, t.Context(), test.config); err != nil {
				t.Fatalf("%v\n%s", err, l.ui.String())
			}
			if got := l.values("MetadataOptions.HttpTokens")[0]; got != test.tokens || said != test.tokens {
				t.Errorf("got HttpTokens %q in RunInstances and %q on the instance, want %q", got, said, test.tokens)
			}
			for _, region := range []string{"eu-central-1", "us-east-1"} {
				images, err := l.client(region).DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
				if err != nil {
					t.Fatal(err)
				}
				if got := string(images.Images[0].ImdsSupport); got != test.images {
					t.Errorf("%s: got image IMDS support %q, want %q", region, got, test.images)
				}
			}
		})
	}
}

// TestSharedEncryptedImages: the preflight checks whether an encrypted image can be shared,
// by the key that EC2 would use.
func TestSharedEncryptedImages(t *testing.T) {
	disk := []map[string]any{{"device_name": "/dev/sda1", "volume_size": 8, "encrypted": true, "delete_on_termination": true}}
	for name, test := range map[string]struct {
		config map[string]any
		mine   bool // the account's default key is customer managed, in both regions
		found  []string
	}{
		"a volume": {map[string]any{"launch_block_device_mappings": disk}, false, []string{
			"launch_block_device_mappings[0].kms_key_id: the image in eu-central-1 is shared", "launch_block_device_mappings[0].encrypted: the image in us-east-1 is shared"}},
		"a volume with a customer managed default key": {map[string]any{"launch_block_device_mappings": disk}, true, nil},
		"the image": {map[string]any{"encrypt_boot": true}, false, []string{"kms_key_id: the image in eu-central-1 is shared", "kms_key_id: the image in us-east-1"}},
		"the image with a customer managed default key": {map[string]any{"encrypt_boot": true}, true, nil},
		"one region with its default key":               {map[string]any{"encrypt_boot": true, "region_kms_key_ids": map[string]string{"us-east-1": ""}}, false, []string{"kms_key_id: the image in us-east-1 is shared"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if test.mine {
				for _, region := range []string{"eu-central-1", "us-east-1"} {
					w.setDefaultKey(t, region)
				}
			}
			config := map[string]any{"ami_users": []string{"444455556666"}, "preflight": "only"}
			maps.Copy(config, test.config)
			_, err := w.build(t, t.Context(), config)
			if (err != nil) != (len(test.found) > 0) {
				t.Errorf("got %v\n%s", err, w.ui.String())
			}
			for _, want := range test.found {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error without %q:\n%v", want, err)
				}
			}
		})
	}
}

// The images of an encrypted source image have its key, and their copies the default
// key of their region: sharing either is judged before the launch.
func TestSharedFromEncryptedSource(t *testing.T) {
	for name, test := range map[string]struct {
		config map[string]any // of the build that makes the source image
		copied bool           // by source_ami_from, instead of a launch
		share  map[string]any
		mine   bool // the default key of us-east-1 is the account's own
		found  []string
	}{
		"AWS's key":                       {config: map[string]any{"encrypt_boot": true}, share: map[string]any{"ami_users": []string{"444455556666"}}, found: []string{"source_ami: the image in eu-central-1 is shared, but encrypted with", "encrypt_boot: the image in us-east-1 is shared, but the source image is encrypted"}},
		"AWS's key, with an organization": {config: map[string]any{"encrypt_boot": true}, share: map[string]any{"ami_org_arns": []string{"arn:aws:organizations::111122223333:organization/o-abcdefghij"}}, found: []string{"source_ami: the image in eu-central-1 is shared", "encrypt_boot: the image in us-east-1"}},
		"AWS's key, by snapshots":         {config: map[string]any{"encrypt_boot": true}, share: map[string]any{"snapshot_users": []string{"444455556666"}}, found: []string{"source_ami: the image in eu-central-1 is shared", "encrypt_boot: the image in us-east-1"}},
		"a key of the account's":          {config: map[string]any{"encrypt_boot": true, "kms_key_id": "alias/mine"}, share: map[string]any{"ami_users": []string{"444455556666"}}, found: []string{"encrypt_boot: the image in us-east-1"}},
		"a key of the account's in both":  {config: map[string]any{"encrypt_boot": true, "kms_key_id": "alias/mine"}, share: map[string]any{"ami_users": []string{"444455556666"}}, mine: true},
		"copied without a launch":         {config: map[string]any{"encrypt_boot": true, "kms_key_id": "alias/mine"}, copied: true, share: map[string]any{"ami_users": []string{"444455556666"}}, found: []string{"encrypt_boot: the image in us-east-1 is shared, but the source image is encrypted"}},
		"not shared":                      {config: map[string]any{"encrypt_boot": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.alias(t, "eu-central-1", "alias/mine")
			config := map[string]any{"ami_name": "source", "ami_regions": []string(nil)}
			maps.Copy(config, test.config)
			if _, err := w.build(t, t.Context(), config); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			if test.mine {
				w.setDefaultKey(t, "us-east-1")
			}
			config = map[string]any{"source_ami": w.oneImageEach(t, "eu-central-1")["eu-central-1"].ID, "ssh_username": "ubuntu"}
			if test.copied {
				config = map[string]any{"source_ami_from": config["source_ami"], "ami_name": "copy"}
			}
			maps.Copy(config, test.share)
			_, err := w.build(t, t.Context(), config)
			if (err != nil) != (len(test.found) > 0) {
				t.Errorf("got %v, want %q\n%s", err, test.found, w.ui.String())
			}
			for _, want := range test.found {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
			if err != nil && strings.Contains(w.ui.String(), "can't be shared") {
				t.Errorf("it shared:\n%s", w.ui.String())
			}
		})
	}
}

// setDefaultKey makes a customer managed key the default for EBS.
func (w *world) setDefaultKey(t *testing.T, region string) {
	t.Helper()
	key, err := kms.NewFromConfig(w.awsConfig(w), func(o *kms.Options) { o.Region = region }).CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.client(region).ModifyEbsDefaultKmsKeyId(t.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: key.KeyMetadata.Arn}); err != nil {
		t.Fatal(err)
	}
}

// alias creates a KMS key for each name.
func (w *world) alias(t *testing.T, region string, names ...string) {
	t.Helper()
	client := kms.NewFromConfig(w.awsConfig(w), func(o *kms.Options) { o.Region = region })
	for _, name := range names {
		key, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
		if err == nil {
			_, err = client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String(name), TargetKeyId: key.KeyMetadata.KeyId})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
