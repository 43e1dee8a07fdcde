// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// EC2 accepts a key by its id, its alias, or the ARN of either. It checks the key after
// it has accepted the call: a copy fails, an instance terminates.
func TestKMSKeys(t *testing.T) {
	const home, away = "eu-central-1", "us-east-1"
	l := &lab{T: t, server: New(Config{Pace: pace.Instant, Seed: "keys"})}
	l.ec2 = l.in(home)
	key := func(region, alias string) (id, arn string) {
		client := kms.NewFromConfig(l.server.AWSConfig(region))
		made := must[*kms.CreateKeyOutput](l)(client.CreateKey(t.Context(), &kms.CreateKeyInput{})).KeyMetadata
		must[*kms.CreateAliasOutput](l)(client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String(alias), TargetKeyId: made.KeyId}))
		return *made.KeyId, *made.Arn
	}
	id, arn := key(home, "alias/mine")
	awayID, awayARN := key(away, "alias/away")
	off, _ := key(home, "alias/off")
	must[*kms.DisableKeyOutput](l)(kms.NewFromConfig(l.server.AWSConfig(home)).DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: aws.String(off)}))
	account := "arn:aws:kms:" + home + ":" + AccountID + ":"
	for _, test := range []struct {
		name, key string
		want      string // suffix of the encryption key's ARN; empty if unusable
	}{
		{"id", id, arn},
		{"key ARN", arn, arn},
		{"alias", "alias/mine", arn},
		{"alias ARN", account + "alias/mine", arn},
		{"AWS managed alias", "alias/aws/ebs", "alias/aws/ebs"},
		{"AWS managed alias ARN", account + "alias/aws/ebs", "alias/aws/ebs"},
		{"none", "", "alias/aws/ebs"},
		{"unknown alias", "alias/nobodys", ""},
		{"alias without prefix", "mine", ""},
		{"unknown id", "00000000-0000-0000-0000-000000000000", ""},
		{"id of another region", awayID, ""},
		{"ARN of another region", awayARN, ""},
		{"alias ARN of another region", "arn:aws:kms:" + away + ":" + AccountID + ":alias/away", ""},
		{"alias ARN with another region", "arn:aws:kms:" + away + ":" + AccountID + ":alias/mine", ""},
		{"alias ARN of another account", "arn:aws:kms:" + home + ":444455556666:alias/mine", ""},
		{"ARN without key/", account + id, ""},
		{"disabled key", "alias/off", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			copied := *must[*sdk.CopyImageOutput](l)(l.ec2.CopyImage(t.Context(), &sdk.CopyImageInput{
				Name: aws.String("by " + strings.ReplaceAll(test.name, "'", "")), SourceImageId: aws.String(l.source()), SourceRegion: aws.String(home),
				Encrypted: aws.Bool(true), KmsKeyId: aws.String(test.key),
			})).ImageId
			image := l.image(home, copied)
			snapshot := must[*sdk.DescribeSnapshotsOutput](l)(l.ec2.DescribeSnapshots(t.Context(), &sdk.DescribeSnapshotsInput{
				SnapshotIds: []string{*image.BlockDeviceMappings[0].Ebs.SnapshotId},
			})).Snapshots[0]
			launched := must[*sdk.RunInstancesOutput](l)(l.ec2.RunInstances(t.Context(), &sdk.RunInstancesInput{
				ImageId: aws.String(l.source()), InstanceType: types.InstanceTypeG4dnXlarge, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
				BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{Encrypted: aws.Bool(true), KmsKeyId: aws.String(test.key)}}},
			})).Instances[0]
			instance := must[*sdk.DescribeInstancesOutput](l)(l.ec2.DescribeInstances(t.Context(), &sdk.DescribeInstancesInput{InstanceIds: []string{*launched.InstanceId}})).Reservations[0].Instances[0]
			if test.want == "" {
				if image.State != "failed" || snapshot.State != "error" || aws.ToString(snapshot.StateMessage) != "Given key ID is not accessible" {
					t.Errorf("got image %s, snapshot %s with message %q", image.State, snapshot.State, aws.ToString(snapshot.StateMessage))
				}
				if instance.State.Name != "terminated" || aws.ToString(instance.StateReason.Code) != "Client.InternalError" {
					t.Errorf("got instance %s with reason %+v", instance.State.Name, instance.StateReason)
				}
				return
			}
			if image.State != "available" || !strings.HasSuffix(aws.ToString(snapshot.KmsKeyId), test.want) {
				t.Errorf("got image %s with key %q, want key %q", image.State, aws.ToString(snapshot.KmsKeyId), test.want)
			}
			if instance.State.Name != "running" {
				t.Errorf("got instance %s with reason %+v", instance.State.Name, instance.StateReason)
			}
		})
	}
	_, err := l.ec2.CopyImage(t.Context(), &sdk.CopyImageInput{Name: aws.String("plain"), SourceImageId: aws.String(l.source()), SourceRegion: aws.String(home), KmsKeyId: aws.String(id)})
	l.wantCode(err, "InvalidParameterDependency")
	_, err = l.ec2.RunInstances(t.Context(), &sdk.RunInstancesInput{
		ImageId: aws.String(l.source()), InstanceType: types.InstanceTypeG4dnXlarge, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		BlockDeviceMappings: []types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sda1"), Ebs: &types.EbsBlockDevice{KmsKeyId: aws.String(id)}}},
	})
	l.wantCode(err, "InvalidParameterDependency")
}
