// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// TestVolumeLimits: EC2 decides about limits. Its dry run rejects a volume before
// anything is created.
func TestVolumeLimits(t *testing.T) {
	for _, test := range []struct {
		device map[string]any
		found  string
	}{
		{map[string]any{"volume_size": 200, "volume_type": "gp3", "iops": 20000, "throughput": 1500}, ""},
		{map[string]any{"volume_size": 65536, "volume_type": "gp3", "iops": 80000, "throughput": 2000}, ""},
		{map[string]any{"volume_size": 100, "volume_type": "io2", "iops": 100000}, ""},
		{map[string]any{"volume_size": 100, "volume_type": "gp3", "iops": 90000}, "Volume iops of 90000 is too high"},
		{map[string]any{"volume_size": 100, "volume_type": "gp3", "throughput": 2500}, "Volume throughput of 2500 is too high"},
		{map[string]any{"volume_size": 100, "volume_type": "gp2", "iops": 4000}, "iops is not supported for gp2"},
		{map[string]any{"volume_size": 100, "volume_type": "st1", "throughput": 500}, "throughput is not supported for st1"},
		{map[string]any{"volume_size": 1}, "smaller than"},
	} {
		w := newWorld(t)
		device := map[string]any{"device_name": "/dev/sda1", "delete_on_termination": true}
		maps.Copy(device, test.device)
		_, err := w.build(t, t.Context(), map[string]any{"launch_block_device_mappings": []map[string]any{device}, "ami_regions": []string{"eu-central-1"}})
		if (err != nil) != (test.found != "") || err != nil && !strings.Contains(err.Error(), test.found) {
			t.Errorf("%v: got %v, want %s", test.device, err, test.found)
		}
		if test.found != "" && len(w.left()) > 0 {
			t.Errorf("%v: got leftover resources %v, want none", test.device, w.left())
		}
		if n := w.aws.Calls()["eu-central-1"]["CreateKeyPair"]; test.found != "" && n > 0 {
			t.Errorf("%v: got the error after a key pair was created", test.device)
		}
	}
}

// TestRehearsalRejectsMalformedSharing: the rehearsal rejects sharing with a malformed
// account, group or organization.
func TestRehearsalRejectsMalformedSharing(t *testing.T) {
	w := newWorld(t)
	artifact, err := w.build(t, t.Context(), map[string]any{"ami_regions": []string{"eu-central-1"}})
	if err != nil {
		t.Fatal(err)
	}
	image, client := strings.TrimPrefix(artifact.Id(), "eu-central-1:"), w.client("eu-central-1")
	for _, permission := range []ec2types.LaunchPermission{
		{UserId: aws.String("12345678901")}, {UserId: aws.String("")}, {Group: "everybody"},
		{OrganizationArn: aws.String("o-abcdefghij")}, {OrganizationalUnitArn: aws.String("ou-abcd-12345678")},
	} {
		_, err := client.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{
			ImageId: &image, LaunchPermission: &ec2types.LaunchPermissionModifications{Add: []ec2types.LaunchPermission{permission}},
		})
		if awsclient.Code(err) != "InvalidAMIAttributeItemValue" {
			t.Errorf("%+v: got %v, want InvalidAMIAttributeItemValue", permission, err)
		}
	}
	found, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{image}})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"12345678901", "me"} {
		_, err := client.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{
			SnapshotId: found.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId, OperationType: "add", Attribute: "createVolumePermission", UserIds: []string{user},
		})
		if awsclient.Code(err) != "InvalidParameterValue" {
			t.Errorf("%s: got %v, want InvalidParameterValue", user, err)
		}
	}
}

// EC2 throttles requests for all snapshots: each names its snapshots or asks for a
// page.
func TestSnapshotsAreListedInPages(t *testing.T) {
	l := newListing(t)
	for _, config := range []map[string]any{
		{"capture": "reboot"},
		{"force_deregister": true, "force_delete_snapshot": true},
		{"ami_name": "failing"},
	} {
		fails := config["ami_name"] != nil
		if fails {
			l.aws.AddFault(lateFault)
		}
		if _, err := l.build(t, t.Context(), config); (err != nil) != fails {
			t.Fatalf("%v: %v\n%s", config, err, l.ui.String())
		}
	}
	pages := 0
	for _, form := range l.made["DescribeSnapshots"] {
		if form.Has("MaxResults") {
			pages++
		} else if !form.Has("SnapshotId.1") {
			t.Errorf("a request for all snapshots: %v", form)
		}
	}
	if pages == 0 {
		t.Error("no pages were requested")
	}
}
