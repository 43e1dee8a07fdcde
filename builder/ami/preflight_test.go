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

// actions returns the requested actions, each as "region action", sorted.
func (w *world) actions() (list []string) {
	for region, actions := range w.aws.Calls() {
		for action := range actions {
			list = append(list, region+" "+action)
		}
	}
	slices.Sort(list)
	return list
}

// TestPreflightOnly: preflight = "only" only reads, and creates nothing.
func TestPreflightOnly(t *testing.T) {
	w := newWorld(t)
	artifact, err := w.build(t, t.Context(), map[string]any{"preflight": "only"})
	if artifact != nil || err != nil {
		t.Errorf("got %v, %v", artifact, err)
	}
	for _, action := range w.actions() {
		_, name, _ := strings.Cut(action, " ")
		if !strings.HasPrefix(name, "Describe") && !strings.HasPrefix(name, "Get") && !strings.HasSuffix(name, "(dry run)") {
			t.Errorf("got an unwanted call of %s", action)
		}
	}
	if said := w.ui.String(); !strings.Contains(said, "8 checks in ") || !strings.Contains(said, `Nothing was created (preflight = "only")`) || strings.Contains(said, "Warning") {
		t.Errorf("got output\n%s", said)
	}
	w.aws.AddFault(rehearsal.Fault{Action: "CreateSecurityGroup", Code: "UnauthorizedOperation"})
	if _, err := w.build(t, t.Context(), map[string]any{"preflight": "only"}); err == nil || !strings.Contains(err.Error(), "ec2:CreateSecurityGroup is not allowed in eu-central-1") {
		t.Errorf("got %v", err)
	}
}

// TestPreflightOnlyKeepsResumableBuild: preflight = "only" deletes no resource of the build that
// build_id names.
func TestPreflightOnlyKeepsResumableBuild(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-east-1", State: "failed"})
	config := map[string]any{"build_id": resumedID, "on_copy_failure": "retry-later"}
	if _, err := w.build(t, t.Context(), config); err == nil {
		t.Fatal("got no error, want one for us-east-1")
	}
	before := w.aws.Inventory()
	config["preflight"] = "only"
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Error(err)
	}
	if after := w.aws.Inventory(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("got resources before\n%v\nand after\n%v", before, after)
	}
	if launched := w.aws.Calls()["eu-central-1"]["RunInstances (dry run)"]; launched != 1 { // the first build's
		t.Errorf("got %d dry runs of a launch, want 1: a resumed build launches nothing", launched)
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
				t.Errorf("got an unwanted call of %s", action)
			}
		}
	}
	if !strings.Contains(w.ui.String(), `preflight = "off"`) {
		t.Errorf("the output does not mention that the preflight is off:\n%s", w.ui.String())
	}
	var b Builder
	if _, _, err := b.Prepare(map[string]any{"region": "us-east-1", "preflight": "of"}); err == nil || !strings.Contains(err.Error(), `preflight: got "of", want "on", "only" or "off"`) {
		t.Errorf("got %v", err)
	}
}

// TestPreflightFindings: all findings are reported at once, and nothing is created.
func TestPreflightFindings(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Region: "eu-central-1", Quota: "L-DB2E81BA", Value: 0})
	w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Region: "us-west-1", Code: "UnauthorizedOperation"})
	_, err := w.build(t, t.Context(), map[string]any{
		"ami_regions": []string{"us-east-1", "us-west-1", "af-south-1", "us-east-9"}, "availability_zone": "eu-central-1c", "subnet_filter": map[string]any{"filters": map[string]string{"tag:a": "b"}},
	})
	for _, part := range []string{
		`"af-south-1", which the account has not opted in to`, `"us-east-9", which AWS does not offer`, "subnet_filter: map[tag:a:b] in eu-central-1c: found no available subnet", "is 0 vCPUs, but g4dn.xlarge needs 4",
		"ec2:CopyImage is not allowed in us-west-1",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got error without %q:\n%v", part, err)
		}
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("got leftover resources %v, want none", left)
	}
}

// TestPreflightWithMinimumPolicy: a policy without the preflight's optional actions
// suffices, with one warning.
func TestPreflightWithMinimumPolicy(t *testing.T) {
	w := newWorld(t)
	for _, action := range []string{"DescribeInstanceTypeOfferings", "DescribeInstanceTypes", "DescribeRouteTables", "GetServiceQuota", "DescribeSpotPriceHistory", "GetProducts"} {
		w.aws.AddFault(rehearsal.Fault{Action: action, Code: "UnauthorizedOperation"})
	}
	if _, err := w.build(t, t.Context(), nil); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	said := w.ui.String()
	if strings.Count(said, "Warning: ") != 1 || !strings.Contains(said, `{"Effect":"Allow","Action":["ec2:DescribeInstanceTypeOfferings","ec2:DescribeInstanceTypes","servicequotas:GetServiceQuota"],"Resource":"*"}`) {
		t.Errorf("got output\n%s\nwant one warning, with a statement", said)
	}
}

// TestPreflightOfCopyOnlyBuild: a build that launches no instance skips the launch checks.
func TestPreflightOfCopyOnlyBuild(t *testing.T) {
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
				t.Errorf("got an unwanted call of %s", action)
			}
		}
	}
	if after["us-west-1"]["CopyImage (dry run)"] != 1 {
		t.Errorf("got calls %v, want one dry run of CopyImage", after["us-west-1"])
	}
}

// TestPreflightCalls: each region adds two requests: the name look-up and the dry run of
// the copy.
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
	const atHome = 15 // identity, regions, name, source, network, types, offerings, quota, running, launch, key pair, security group; prices of the type, of snapshots and of copies
	if one != atHome+2 || eight != atHome+2*len(regions) {
		t.Errorf("got %d and %d calls, want %d and %d", one, eight, atHome+2, atHome+2*len(regions))
	}
}

// TestPreflightPredictsFailures: without the preflight, each finding makes the build fail later.
func TestPreflightPredictsFailures(t *testing.T) {
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
		}, map[string]any{"ami_groups": []string{"all"}}, `ami_groups: got ["all"], but us-east-1 blocks public images`, "OperationNotPermitted"},
		"encryption by default": {func(t *testing.T, w *world) {
			if _, err := w.client("us-east-1").EnableEbsEncryptionByDefault(t.Context(), &ec2.EnableEbsEncryptionByDefaultInput{}); err != nil {
				t.Fatal(err)
			}
		}, map[string]any{"ami_users": []string{"444455556666"}}, "encrypt_boot: the image in us-east-1 is shared", "can't be shared"},
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
				t.Errorf("without the preflight: got error %v, want %q", err, test.late)
			}
			before := w.aws.Calls()["eu-central-1"]["CreateKeyPair"]
			config["preflight"] = "on"
			if _, err := w.build(t, t.Context(), config); err == nil || !strings.Contains(err.Error(), test.found) {
				t.Errorf("got error %v, want %q", err, test.found)
			}
			if n := w.aws.Calls()["eu-central-1"]["CreateKeyPair"]; n != before || before != 1 {
				t.Errorf("got %d key pairs created, %d before the preflight, want 1 and 1", n, before)
			}
		})
	}
}

// ubuntu is a filter for an x86_64 image.
var ubuntu = map[string]any{
	"filters": map[string]string{"name": "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"}, "owners": []string{"099720109477"}, "most_recent": true,
}

// The preflight prints what the build may cost.
func TestEstimatedCost(t *testing.T) {
	w := newWorld(t)
	config := map[string]any{"ami_regions": []string{"us-east-1", "us-west-2"}, "max_build_time": "2h", "launch_block_device_mappings": []map[string]any{{"device_name": "/dev/sda1", "volume_size": 75}}}
	artifact, err := w.build(t, t.Context(), config)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	// The rehearsal's prices: $0.60 per hour; $0.02 per GiB and copy; $0.05 per GiB and month.
	const want = `Estimated cost (simulated prices): at most $4.20 for the build, and at most $11.25 per month for the snapshots; volumes, addresses, requests and taxes are extra
  instance: $1.20 (g4dn.xlarge, on-demand: $0.60 per hour by AWS Price List, 2 h of max_build_time)
  copies: $3.00 (up to 75 GiB each: $1.50 to us-east-1, us-west-2)
  snapshots: $11.25 per month (up to 75 GiB each: $3.75 in eu-central-1, us-east-1, us-west-2)
`
	if !strings.Contains(w.ui.String(), want) {
		t.Errorf("got output\n%s\nwant\n%s", w.ui.String(), want)
	}
	id := strings.TrimPrefix(strings.Split(artifact.Id(), ",")[0], "eu-central-1:")
	w.ui.buf.Reset()
	copying := map[string]any{"source_ami_from": id, "ami_name": "copy", "ami_regions": []string{"us-east-1"}, "skip_save_build_region": true, "preflight": "only"}
	if _, err := w.build(t, t.Context(), copying); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	const wantCopy = `at most $1.50 for the build, and at most $3.75 per month for the snapshots; volumes, addresses, requests and taxes are extra
  copies: $1.50 (up to 75 GiB each: $1.50 to us-east-1)
`
	if said := w.ui.String(); !strings.Contains(said, wantCopy) || strings.Contains(said, "instance: $") {
		t.Errorf("got output\n%s\nwant\n%s", said, wantCopy)
	}
}

// The instances of launch tests count too, each in its region.
func TestEstimatedCostOfLaunchTests(t *testing.T) {
	w := newWorld(t)
	config := map[string]any{"preflight": "only", "max_build_time": "2h", "launch_test": map[string]any{"regions": []string{"all"}, "timeout": "30m"}}
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	for _, want := range []string{
		"at most $1.96 for the build", "\n  instance: $1.20 (", "\n  launch test in eu-central-1: $0.30 (g4dn.xlarge, on-demand: $0.60 per hour by AWS Price List, 30 min of launch_test.timeout)\n",
		"\n  launch test in us-east-1: $0.30 (", "\n  copies: $0.16 (",
	} {
		if !strings.Contains(w.ui.String(), want) {
			t.Errorf("got output\n%s\nwant %s", w.ui.String(), want)
		}
	}
}

// Prices that the credentials may not read are unknown, which is no problem of the build.
func TestEstimateWithoutPrices(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "GetProducts", Code: "AccessDeniedException"})
	if _, err := w.build(t, t.Context(), map[string]any{"preflight": "only"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Estimated cost (simulated prices): unknown for the build, and unknown for the snapshots", "instance: unknown: the price of g4dn.xlarge, on-demand (allow pricing:GetProducts)", "snapshots: unknown: allow pricing:GetProducts"} {
		if !strings.Contains(w.ui.String(), want) {
			t.Errorf("got output\n%s\nwant %s", w.ui.String(), want)
		}
	}
}
