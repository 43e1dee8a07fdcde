// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

const (
	plain  = "not encrypted"
	awsKey = "AWS's key"
)

// Which key the images end with, by region; the keys' preflight runs, too.
func TestEncryption(t *testing.T) {
	for _, test := range []struct {
		name   string
		config func(here, there string) map[string]any // keys of eu-central-1 and us-east-1
		here   string                                  // "" is the key of the user's there
		there  string
		copies int
	}{
		{"not said", func(string, string) map[string]any { return nil }, plain, plain, 1},
		{"said not to be", func(string, string) map[string]any { return map[string]any{"encrypt_boot": false} }, plain, plain, 1},
		{"with AWS's keys", func(string, string) map[string]any { return map[string]any{"encrypt_boot": true} }, awsKey, awsKey, 2},
		{"with a key of the build's region", func(here, _ string) map[string]any {
			return map[string]any{"encrypt_boot": true, "kms_key_id": here}
		}, "", awsKey, 2},
		{"with a key each", func(here, there string) map[string]any {
			return map[string]any{"encrypt_boot": true, "kms_key_id": here, "region_kms_key_ids": map[string]string{"us-east-1": there}}
		}, "", "", 2},
		{"with a key elsewhere", func(_, there string) map[string]any {
			return map[string]any{"encrypt_boot": true, "region_kms_key_ids": map[string]string{"us-east-1": there}}
		}, awsKey, "", 2},
		{"a volume that is encrypted from the start", func(here, _ string) map[string]any {
			return map[string]any{"launch_block_device_mappings": []map[string]any{{"device_name": "/dev/sda1", "volume_size": 8, "encrypted": true, "kms_key_id": here, "delete_on_termination": true}}}
		}, "", awsKey, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			clients := ec2api.New(w.awsConfig(w), "")
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
			w.oneImageEach(t, "eu-central-1", "us-east-1") // no intermediary is left
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
						t.Errorf("the snapshot in %s has the key %s", region, key)
					}
				}
				if said := aws.ToBool(images.Images[0].BlockDeviceMappings[0].Ebs.Encrypted); got != want || said != (want != plain) {
					t.Errorf("%s: encrypted with %q, the image says %v; want %q (\"\" is the user's key)", region, got, said, want)
				}
			}
			calls := w.aws.Calls()
			if copies := calls["us-east-1"]["CopyImage"] + calls["eu-central-1"]["CopyImage"]; copies < test.copies {
				t.Errorf("there were %d copies, want %d", copies, test.copies)
			}
		})
	}
}

// The instance takes IMDSv2 alone unless told otherwise; the images say so where
// they were asked to, in every region.
func TestInstanceMetadata(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]any
		tokens string // of the instance
		images string // imdsSupport
	}{
		{"by default", nil, "required", ""},
		{"as amazon-ebs does", map[string]any{"metadata_options": map[string]any{"http_tokens": "optional"}}, "optional", ""},
		{"other options leave it", map[string]any{"metadata_options": map[string]any{"http_put_response_hop_limit": 2}}, "required", ""},
		{"of the images, too", map[string]any{"imds_support": "v2.0"}, "required", "v2.0"},
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
				t.Errorf("RunInstances has HttpTokens = %q, the instance says %q; want %q", got, said, test.tokens)
			}
			for _, region := range []string{"eu-central-1", "us-east-1"} {
				images, err := l.client(region).DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
				if err != nil {
					t.Fatal(err)
				}
				if got := string(images.Images[0].ImdsSupport); got != test.images {
					t.Errorf("%s: the image says %q, want %q", region, got, test.images)
				}
			}
		})
	}
}
