// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
)

// With block public access, a region rejects public sharing and allows sharing with
// accounts.
func TestBlockPublicAccess(t *testing.T) {
	l := newLab(t, "instant")
	ctx, id := t.Context(), l.run()
	img := *must[*sdk.CreateImageOutput](l)(l.ec2.CreateImage(ctx, &sdk.CreateImageInput{InstanceId: &id, Name: aws.String("baked")})).ImageId
	snap := *l.image("eu-central-1", img).BlockDeviceMappings[0].Ebs.SnapshotId
	publish := func() (image, snapshot error) {
		_, image = l.ec2.ModifyImageAttribute(ctx, &sdk.ModifyImageAttributeInput{
			ImageId: &img, LaunchPermission: &types.LaunchPermissionModifications{Add: []types.LaunchPermission{{Group: types.PermissionGroupAll}}},
		})
		_, snapshot = l.ec2.ModifySnapshotAttribute(ctx, &sdk.ModifySnapshotAttributeInput{
			SnapshotId: &snap, CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: []types.CreateVolumePermission{{Group: types.PermissionGroupAll}}},
		})
		return image, snapshot
	}
	must[*sdk.EnableImageBlockPublicAccessOutput](l)(l.ec2.EnableImageBlockPublicAccess(ctx, &sdk.EnableImageBlockPublicAccessInput{ImageBlockPublicAccessState: "block-new-sharing"}))
	must[*sdk.EnableSnapshotBlockPublicAccessOutput](l)(l.ec2.EnableSnapshotBlockPublicAccess(ctx, &sdk.EnableSnapshotBlockPublicAccessInput{State: "block-new-sharing"}))
	image, snapshot := publish()
	l.wantCode(image, "OperationNotPermitted")
	l.wantCode(snapshot, "OperationNotPermitted")
	_, err := l.ec2.ModifyImageAttribute(ctx, &sdk.ModifyImageAttributeInput{
		ImageId: &img, LaunchPermission: &types.LaunchPermissionModifications{Add: []types.LaunchPermission{{UserId: aws.String("444455556666")}}},
	})
	if err != nil || aws.ToBool(l.image("eu-central-1", img).Public) {
		t.Errorf("shared with an account: error %v, public %v", err, *l.image("eu-central-1", img).Public)
	}
	must[*sdk.DisableImageBlockPublicAccessOutput](l)(l.ec2.DisableImageBlockPublicAccess(ctx, &sdk.DisableImageBlockPublicAccessInput{}))
	must[*sdk.DisableSnapshotBlockPublicAccessOutput](l)(l.ec2.DisableSnapshotBlockPublicAccess(ctx, &sdk.DisableSnapshotBlockPublicAccessInput{}))
	if image, snapshot := publish(); image != nil || snapshot != nil || !*l.image("eu-central-1", img).Public {
		t.Errorf("after unblocking: got errors %v, %v", image, snapshot)
	}
}

// A dry run fails only for a missing permission. It does not count as a call of its
// action.
func TestDryRunFaults(t *testing.T) {
	l := newLab(t, "instant")
	source := l.source()
	launch := func(dry bool) error {
		_, err := l.ec2.RunInstances(t.Context(), &sdk.RunInstancesInput{DryRun: &dry, ImageId: &source, InstanceType: "g5.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
		return err
	}
	l.server.AddFault(Fault{Action: "RunInstances", Nth: 1, Code: "InsufficientInstanceCapacity"})
	l.wantCode(launch(true), "DryRunOperation")
	l.wantCode(launch(false), "InsufficientInstanceCapacity")
	l.server.AddFault(Fault{Action: "RunInstances", Where: map[string]string{"DryRun": "true"}, Nth: 1, Code: "RequestLimitExceeded"})
	l.wantCode(launch(true), "RequestLimitExceeded")
	l.server.AddFault(Fault{Action: "RunInstances", Code: "UnauthorizedOperation"})
	l.wantCode(launch(true), "UnauthorizedOperation")
	if made := l.server.Calls()["eu-central-1"]; made["RunInstances"] != 1 || made["RunInstances (dry run)"] != 3 {
		t.Errorf("got calls %v", made)
	}
}

func TestQuotas(t *testing.T) {
	l := newLab(t, "instant")
	quota := func(region string) float64 {
		out, err := servicequotas.NewFromConfig(l.server.AWSConfig(region)).GetServiceQuota(t.Context(), &servicequotas.GetServiceQuotaInput{
			ServiceCode: aws.String("ec2"), QuotaCode: aws.String("L-DB2E81BA"),
		})
		if err != nil {
			t.Fatal(err)
		}
		return *out.Quota.Value
	}
	l.server.AddFault(Fault{Quota: "L-DB2E81BA", Region: "us-east-1", Value: 0})
	if here, there := quota("eu-central-1"), quota("us-east-1"); here != 768 || there != 0 {
		t.Errorf("got quotas %g and %g", here, there)
	}
}
