// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// actions are those that a world was asked for, "region action", sorted.
func (w *world) actions() (list []string) {
	for region, actions := range w.aws.Calls() {
		for action := range actions {
			list = append(list, region+" "+action)
		}
	}
	slices.Sort(list)
	return list
}

// preflight = "only" asks, and makes nothing.
func TestPreflightOnly(t *testing.T) {
	w := newWorld(t)
	artifact, err := w.build(t, t.Context(), map[string]any{"preflight": "only"})
	if artifact != nil || err != nil {
		t.Errorf("got %v, %v", artifact, err)
	}
	for _, action := range w.actions() {
		_, name, _ := strings.Cut(action, " ")
		if !strings.HasPrefix(name, "Describe") && !strings.HasPrefix(name, "Get") && !strings.HasSuffix(name, "(dry run)") {
			t.Errorf("it called %s", action)
		}
	}
	if said := w.ui.String(); !strings.Contains(said, "8 checks in ") || !strings.Contains(said, `Nothing was made, as preflight is "only"`) || strings.Contains(said, "Warning") {
		t.Errorf("it said\n%s", said)
	}
	w.aws.AddFault(rehearsal.Fault{Action: "CreateSecurityGroup", Code: "UnauthorizedOperation"})
	if _, err := w.build(t, t.Context(), map[string]any{"preflight": "only"}); err == nil || !strings.Contains(err.Error(), "ec2:CreateSecurityGroup is not allowed in eu-central-1") {
		t.Errorf("got %v", err)
	}
}

// It also removes nothing of the build that it would resume.
func TestPreflightOnlyOfAResume(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-east-1", State: "failed"})
	config := map[string]any{"build_id": resumedID, "on_copy_failure": "retry-later"}
	if _, err := w.build(t, t.Context(), config); err == nil {
		t.Fatal("the build has no image in us-east-1, and no error")
	}
	before := w.aws.Inventory()
	config["preflight"] = "only"
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Error(err)
	}
	if after := w.aws.Inventory(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("there was\n%v\nand is\n%v", before, after)
	}
	if launched := w.aws.Calls()["eu-central-1"]["RunInstances (dry run)"]; launched != 1 { // the first build's
		t.Errorf("%d dry runs of a launch that is not to be", launched)
	}
}

func TestPreflightOff(t *testing.T) {
	w := newWorld(t)
	if _, err := w.build(t, t.Context(), map[string]any{"preflight": "off"}); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	for _, action := range w.actions() {
		for _, part := range []string{"dry run", "DescribeRegions", "GetServiceQuota", "GetCallerIdentity", "DescribeInstanceType"} {
			if strings.Contains(action, part) {
				t.Errorf("it called %s", action)
			}
		}
	}
	if !strings.Contains(w.ui.String(), `as preflight is "off"`) {
		t.Errorf("it does not say so:\n%s", w.ui.String())
	}
	var b Builder
	if _, _, err := b.Prepare(map[string]any{"region": "us-east-1", "preflight": "of"}); err == nil || !strings.Contains(err.Error(), `preflight: "of"; expected "on", "only" or "off"`) {
		t.Errorf("got %v", err)
	}
}

// All findings come at once, and nothing is made.
func TestPreflightFindings(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Region: "eu-central-1", Quota: "L-DB2E81BA", Value: 0})
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-west-1", Code: "UnauthorizedOperation"})
	_, err := w.build(t, t.Context(), map[string]any{
		"ami_regions": []string{"us-east-1", "us-west-1", "af-south-1", "us-east-9"}, "availability_zone": "eu-central-1c", "subnet_filter": map[string]any{"filters": map[string]string{"tag:a": "b"}},
	})
	for _, part := range []string{
		`not opted in to "af-south-1"`, `no region "us-east-9"`, "subnet_filter: map[tag:a:b] in eu-central-1c has no available subnet", "is 0 vCPUs, and g4dn.xlarge needs 4",
		"ec2:CopyImage is not allowed in us-west-1",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q:\n%v", part, err)
		}
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind %v", left)
	}
}

// A policy that has what the build needs, and nothing that the preflight would
// like besides, is enough, and costs one warning.
func TestPreflightOfALeastPolicy(t *testing.T) {
	w := newWorld(t)
	for _, action := range []string{"DescribeInstanceTypeOfferings", "DescribeInstanceTypes", "DescribeRouteTables", "GetServiceQuota", "DescribeSpotPriceHistory", "GetProducts"} {
		w.aws.AddFault(rehearsal.Fault{Action: action, Code: "UnauthorizedOperation"})
	}
	if _, err := w.build(t, t.Context(), nil); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	said := w.ui.String()
	if strings.Count(said, "Warning: ") != 1 || !strings.Contains(said, `{"Effect":"Allow","Action":["ec2:DescribeInstanceTypeOfferings","ec2:DescribeInstanceTypes","servicequotas:GetServiceQuota"],"Resource":"*"}`) {
		t.Errorf("want one warning, with a statement:\n%s", said)
	}
}

// Where nothing is launched, nothing is asked about a launch.
func TestPreflightOfACopy(t *testing.T) {
	w := newWorld(t)
	artifact, err := w.build(t, t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := w.aws.Calls()
	id := strings.TrimPrefix(strings.Split(artifact.Id(), ",")[0], "eu-central-1:")
	config := map[string]any{"source_ami_from": id, "ami_name": "copy", "ami_regions": []string{"us-west-1"}}
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	after := w.aws.Calls()
	for region, actions := range after {
		for action, n := range actions {
			if n > before[region][action] && (strings.Contains(action, "DescribeInstance") || strings.Contains(action, "RunInstances") || strings.Contains(action, "KeyPair") || strings.Contains(action, "Quota")) {
				t.Errorf("a copy called %s", action)
			}
		}
	}
	if after["us-west-1"]["CopyImage (dry run)"] != 1 {
		t.Errorf("its own permission was not asked for: %v", after["us-west-1"])
	}
}

// The questions grow by two a region: is the name free, may a copy be made.
func TestPreflightCalls(t *testing.T) {
	regions := []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-northeast-1", "eu-west-1", "eu-west-2"}
	made := func(config map[string]any) (n int) {
		w := newWorld(t)
		all := map[string]any{"preflight": "only"}
		maps.Copy(all, config)
		if _, err := w.build(t, t.Context(), all); err != nil {
			t.Fatalf("%v\n%s", err, w.ui.String())
		}
		return w.calls
	}
	one, eight := made(map[string]any{"ami_regions": regions[:1]}), made(map[string]any{"ami_regions": regions})
	const atHome = 12 // identity, regions, name, source, network, types, offerings, quota, running, launch, key pair, security group
	if one != atHome+2 || eight != atHome+2*len(regions) {
		t.Errorf("%d and %d calls, want %d and %d", one, eight, atHome+2, atHome+2*len(regions))
	}
}

// What the preflight finds does make the build fail, late.
func TestPreflightIsRight(t *testing.T) {
	for name, test := range map[string]struct {
		given  func(t *testing.T, w *world)
		config map[string]any
		found  string
		late   string
	}{
		"blocked public access": {func(t *testing.T, w *world) {
			_, err := w.client("us-east-1").EnableImageBlockPublicAccess(t.Context(), &ec2.EnableImageBlockPublicAccessInput{ImageBlockPublicAccessState: "block-new-sharing"})
			if err != nil {
				t.Fatal(err)
			}
		}, map[string]any{"ami_groups": []string{"all"}}, `ami_groups: ["all"], but us-east-1 blocks public images`, "OperationNotPermitted"},
		"encryption by default": {func(t *testing.T, w *world) {
			if _, err := w.client("us-east-1").EnableEbsEncryptionByDefault(t.Context(), &ec2.EnableEbsEncryptionByDefaultInput{}); err != nil {
				t.Fatal(err)
			}
		}, map[string]any{"ami_users": []string{"444455556666"}}, "encrypt_boot: the image in us-east-1 is to be shared", "can't be shared"},
		"a copy that is not allowed": {func(_ *testing.T, w *world) {
			w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-east-1", Code: "UnauthorizedOperation"})
		}, nil, "ec2:CopyImage is not allowed in us-east-1", "UnauthorizedOperation"},
		"a launch that is not allowed": {func(_ *testing.T, w *world) {
			w.aws.AddFault(rehearsal.Fault{Action: "RunInstances", Code: "UnauthorizedOperation"})
		}, nil, "ec2:RunInstances is not allowed in eu-central-1, for g4dn.xlarge, on-demand", "UnauthorizedOperation"},
		"a zone without the type": {func(*testing.T, *world) {}, map[string]any{"availability_zone": "eu-central-1c"}, "g4dn.xlarge is not offered in eu-central-1c", "(Unsupported)"},
		"the wrong architecture":  {func(*testing.T, *world) {}, map[string]any{"instance_types": []string{"g5g.xlarge"}, "source_ami_filter": ubuntu, "ssh_username": "ubuntu"}, "g5g.xlarge is arm64", "The architecture 'arm64'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test.given(t, w)
			config := map[string]any{"preflight": "off"}
			maps.Copy(config, test.config)
			if _, err := w.build(t, t.Context(), config); err == nil || !strings.Contains(err.Error(), test.late) {
				t.Errorf("without a preflight the error is %v, want %q", err, test.late)
			}
			before := w.aws.Calls()["eu-central-1"]["CreateKeyPair"]
			config["preflight"] = "on"
			if _, err := w.build(t, t.Context(), config); err == nil || !strings.Contains(err.Error(), test.found) {
				t.Errorf("the error is %v, want %q", err, test.found)
			}
			if n := w.aws.Calls()["eu-central-1"]["CreateKeyPair"]; n != before || before != 1 {
				t.Errorf("%d key pairs were made, %d before the preflight", n, before)
			}
		})
	}
}

// ubuntu is for x86_64.
var ubuntu = map[string]any{
	"filters": map[string]string{"name": "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"}, "owners": []string{canonical}, "most_recent": true,
}
