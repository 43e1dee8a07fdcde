// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// without returns a policy without an action, in some statements or in all.
func without(d policy.Document, action string, sids ...string) *policy.Document {
	less := policy.Document{}
	for _, s := range d.Statement {
		if len(sids) == 0 || slices.Contains(sids, s.Sid) {
			s.Action = slices.DeleteFunc(slices.Clone(s.Action), func(a string) bool { return a == action })
		}
		if len(s.Action) > 0 {
			less.Statement = append(less.Statement, s)
		}
	}
	return &less
}

// required returns a policy without its optional statements.
func required(d policy.Document) *policy.Document {
	d.Statement = slices.DeleteFunc(slices.Clone(d.Statement), func(s policy.Statement) bool { return !s.Required() })
	return &d
}

func actionsOf(d *policy.Document) (all []string) {
	for _, s := range d.Statement {
		all = append(all, s.Action...)
	}
	return all
}

// lateFault makes a build fail when its images exist in all regions.
var lateFault = rehearsal.Fault{Action: "CreateTags", Code: "InvalidRequest"}

// policyCase is a build whose minimum policy is verified.
type policyCase struct {
	name   string
	config map[string]any
	before func(*testing.T, *world) // creates the resources that exist before
	late   rehearsal.Fault          // makes the build fail after it created its images; lateFault by default
	need   []string                 // actions that the minimum policy must allow
	not    []string                 // actions that it must not allow
}

var policyCases = []policyCase{
	{name: "one region", config: map[string]any{"ami_regions": []string(nil)}, not: []string{"ec2:CopyImage"}},
	{name: "two regions", need: []string{"ec2:CopyImage"}, not: []string{"iam:PassRole", "ec2:RegisterImage", "ec2:ModifyImageAttribute"}},
	{name: "spot", config: map[string]any{"markets": []string{"spot"}, "availability_zone": "eu-central-1a"}, not: []string{"ec2:StopInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"}},
	{name: "a fleet", config: map[string]any{"markets": []string{"spot"}, "instance_types": []string{"g4dn.xlarge", "g4dn.2xlarge"}, "availability_zones": []string{"eu-central-1a", "eu-central-1b"}},
		need: []string{"ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:DeleteLaunchTemplate", "ec2:RunInstances"}},
	{name: "a fleet with a profile", config: map[string]any{"markets": []string{"spot"}, "availability_zones": []string{"eu-central-1a", "eu-central-1b"}, "iam_instance_profile": "miner", "skip_profile_validation": true},
		need: []string{"iam:PassRole", "ec2:CreateFleet"}},
	{name: "several types and markets", config: map[string]any{"instance_types": []string{"g4dn.xlarge", "g4dn.2xlarge"}, "markets": []string{"on-demand", "spot"}, "spot_allocation_strategy": "in-order"}, not: []string{"ec2:CreateFleet"}},
	{name: "capture of a running machine", config: map[string]any{"capture": "reboot"}},
	{name: "no image", config: map[string]any{"skip_create_ami": true, "ami_regions": []string(nil)}, not: []string{"ec2:CreateImage", "ec2:DeregisterImage"}},
	{name: "sharing", config: map[string]any{
		"ami_users": []string{"444455556666"}, "snapshot_users": []string{"444455556666"}, "imds_support": "v2.0",
		"deprecate_at": time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339), "deregistration_protection": map[string]any{"enabled": true},
	}, late: rehearsal.Fault{Action: "EnableImageDeregistrationProtection", Region: "us-east-1", Code: "InvalidRequest"}},
	{name: "encryption", config: map[string]any{"encrypt_boot": true}},
	{name: "replacing", config: map[string]any{"force_deregister": true, "force_delete_snapshot": true}, need: []string{"ec2:RegisterImage"}, before: func(t *testing.T, w *world) {
		w.release(t, "sweep", map[string]any{"preflight": "off"})
	}},
	{name: "replacing another tool's image", config: map[string]any{"force_deregister": true, "force_delete_snapshot": true}, need: []string{"ec2:RegisterImage"}, before: func(t *testing.T, w *world) {
		w.release(t, "sweep", map[string]any{"preflight": "off"})
		w.untag(t)
	}},
	{name: "retiring", config: map[string]any{"ami_regions": []string(nil), "ami_name": "miner-3", "keep_releases": 1, "retire_after": "0s"}, before: func(t *testing.T, w *world) {
		w.release(t, "miner-1", map[string]any{"preflight": "off", "ami_regions": []string(nil)})
		w.release(t, "miner-2", map[string]any{"preflight": "off", "ami_regions": []string(nil), "keep_releases": 1, "retire_after": "0s"})
	}},
	{name: "a profile", config: map[string]any{"iam_instance_profile": "miner", "skip_profile_validation": true}, need: []string{"iam:PassRole"}},
	{name: "a profile that is looked up", config: map[string]any{"iam_instance_profile": "miner"}, need: []string{"iam:GetInstanceProfile"}},
	{name: "a temporary profile", config: withProfile(), need: []string{"iam:CreateRole", "iam:TagInstanceProfile"}, not: []string{"iam:ListRoles"}},
	{name: "a network of filters", config: map[string]any{
		"subnet_filter": map[string]any{"filters": map[string]string{"default-for-az": "true"}},
		"vpc_filter":    map[string]any{"filters": map[string]string{"is-default": "true"}},
	}, need: []string{"ec2:DescribeSubnets", "ec2:DescribeVpcs"}},
	{name: "ENA", config: map[string]any{"ena_support": true}, need: []string{"ec2:ModifyInstanceAttribute"}},
	{name: "a group of one's own", config: map[string]any{"security_group_filter": map[string]any{"filters": map[string]string{"group-name": "default"}}}, not: []string{"ec2:CreateSecurityGroup"}},
	{name: "no communicator", config: map[string]any{"communicator": "none", "ami_regions": []string(nil)}, not: []string{"ec2:AuthorizeSecurityGroupIngress"}},
	{name: "a price limit", config: map[string]any{"max_price_per_hour": 5}, need: []string{"pricing:GetProducts"}},
	{name: "a launch test of each image", config: map[string]any{"launch_test": map[string]any{"regions": []string{"all"}}}, need: []string{"ec2:CreateKeyPair", "ec2:CopyImage"}},
	{name: "an image to copy", config: map[string]any{"source_ami_from": "?", "ami_name": "copy", "ami_regions": []string{"us-west-1"}, "skip_save_build_region": true}, not: []string{"ec2:RunInstances"},
		before: func(t *testing.T, w *world) {
			w.release(t, "sweep", map[string]any{"preflight": "off", "ami_regions": []string(nil)})
		}},
}

// run builds the case under a policy, in a new world. A nil policy allows everything.
func (c policyCase) run(t *testing.T, d *policy.Document, fails bool, with map[string]any) (w *world, err error) {
	t.Helper()
	w = newWorld(t)
	if c.before != nil {
		c.before(t, w)
	}
	config := map[string]any{"preflight": "off"}
	maps.Copy(config, c.config)
	maps.Copy(config, with)
	if config["source_ami_from"] == "?" {
		for _, r := range w.aws.Inventory()["eu-central-1"] {
			if r.Kind == "image" {
				config["source_ami_from"] = r.ID
			}
		}
	}
	if fails {
		fault := c.late
		if fault.Action == "" {
			fault = lateFault
		}
		w.aws.AddFault(fault)
	}
	w.aws.Allow(d)
	w.ui.buf.Reset()
	_, err = w.build(t, t.Context(), config)
	return w, err
}

// minimum returns the policy that the case's configuration needs.
func (c policyCase) minimum(t *testing.T) policy.Document {
	t.Helper()
	raw := map[string]any{"rehearsal": true, "rehearsal_instance": "none", "region": "eu-central-1", "ami_regions": []string{"us-east-1"}, "ami_name": "sweep"}
	maps.Copy(raw, c.config)
	if raw["source_ami_from"] == "?" {
		raw["source_ami_from"] = "ami-0123456789abcdef0"
	}
	var b Builder
	if _, _, err := b.Prepare(raw); err != nil {
		t.Fatal(err)
	}
	return policy.Least(b.config.PolicyNeeds("eu-central-1"))
}

// outcome lists the existing resources without their IDs.
func (w *world) outcome() string {
	var lines []string
	for region, resources := range w.aws.Inventory() {
		for _, r := range resources {
			lines = append(lines, fmt.Sprint(region, " ", r.Kind, " ", r.State, " ", r.Tags["ethminer:state"]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestMinimumPolicy: with only the required statements, a build has the same outcome as
// with full access, both on success and on failure. Without any one of the actions, it
// fails or leaves resources behind, and reports that.
func TestMinimumPolicy(t *testing.T) {
	for _, c := range policyCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all := c.minimum(t)
			least := required(all)
			for _, action := range c.need {
				if !slices.Contains(actionsOf(least), action) {
					t.Errorf("the policy lacks %s:\n%s", action, least.JSON())
				}
			}
			for _, action := range c.not {
				if slices.Contains(actionsOf(&all), action) {
					t.Errorf("the policy allows %s:\n%s", action, all.JSON())
				}
			}
			ends := map[bool]string{}
			for _, fails := range []bool{false, true} {
				free, freeErr := c.run(t, nil, fails, nil)
				bound, err := c.run(t, least, fails, nil)
				if (err == nil) != (freeErr == nil) || bound.outcome() != free.outcome() {
					t.Fatalf("fails = %v: got error %v with the minimum policy, %v with full access; got resources\n%s\nwant\n%s\n%s", fails, err, freeErr, bound.outcome(), free.outcome(), bound.ui.String())
				}
				kinds := map[string]int{}
				for _, line := range bound.left() {
					kinds[strings.Fields(line)[1]]++
				}
				if kinds["image"] != kinds["snapshot"] || kinds["image"]+kinds["snapshot"] != len(bound.left()) {
					t.Errorf("got %v, want only images, each with its snapshot", bound.left())
				}
				ends[fails] = bound.outcome()
			}
			for _, s := range least.Statement {
				for _, action := range s.Action {
					c.needs(t, without(*least, action, s.Sid), action, ends)
				}
			}
		})
	}
}

// needs checks that a build without the action fails or reports a different outcome.
func (c policyCase) needs(t *testing.T, less *policy.Document, action string, ends map[bool]string) {
	w, err := c.run(t, less, false, nil)
	refusal := action
	if err != nil && strings.Contains(err.Error(), refusal) {
		return
	}
	if err == nil && w.outcome() == ends[false] { // only the clean-up of a failed build can need it
		w, _ = c.run(t, less, true, nil)
		if w.outcome() == ends[true] {
			t.Errorf("got the same outcome without %s, want it not in the policy", action)
			return
		}
	}
	if said := w.ui.String(); !strings.Contains(said, refusal) {
		t.Errorf("without %s (error %v): got resources\n%s\nwant the action in the output:\n%s", action, err, w.outcome(), said)
	}
}

// untag removes the tags of all images and snapshots.
func (w *world) untag(t *testing.T) {
	t.Helper()
	for region, resources := range w.aws.Inventory() {
		for _, r := range resources {
			if _, err := w.client(region).DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{r.ID}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The minimum policy changes and deletes only resources with the tag of a build.
func TestMinimumPolicyAllowsOwnResourcesOnly(t *testing.T) {
	w := newWorld(t)
	w.release(t, "tagged", map[string]any{"preflight": "off", "ami_regions": []string(nil)})
	w.release(t, "untagged", map[string]any{"preflight": "off", "ami_regions": []string(nil)})
	images := map[bool]ec2types.Image{}
	client := w.client("eu-central-1")
	out, err := client.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"self"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range out.Images {
		images[*image.Name == "tagged"] = image
		if *image.Name == "untagged" {
			if _, err := client.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{*image.ImageId, *image.BlockDeviceMappings[0].Ebs.SnapshotId}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	run, err := client.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: images[true].ImageId, InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	w.aws.Allow(required(policyCases[1].minimum(t)))
	instance, other := *run.Instances[0].InstanceId, images[false]
	tag := []ec2types.Tag{{Key: aws.String(tags.BuildID), Value: aws.String("mine")}}
	for name, call := range map[string]func() error{
		"TerminateInstances": func() error {
			_, err := client.TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{instance}})
			return err
		},
		"StopInstances": func() error {
			_, err := client.StopInstances(t.Context(), &ec2.StopInstancesInput{InstanceIds: []string{instance}})
			return err
		},
		"DeregisterImage": func() error {
			_, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: other.ImageId})
			return err
		},
		"DeleteSnapshot": func() error {
			_, err := client.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: other.BlockDeviceMappings[0].Ebs.SnapshotId})
			return err
		},
		"DeleteKeyPair": func() error {
			_, err := client.DeleteKeyPair(t.Context(), &ec2.DeleteKeyPairInput{KeyName: aws.String("theirs")})
			return err
		},
		"CreateTags of one of two": func() error {
			_, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{*images[true].ImageId, *other.ImageId}, Tags: tag})
			return err
		},
	} {
		if err := call(); !awsclient.IsUnauthorized(err) {
			t.Errorf("%s: got %v, want UnauthorizedOperation", name, err)
		}
	}
	if _, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{*images[true].ImageId}, Tags: tag}); err != nil {
		t.Errorf("tagging a build's image: %v", err)
	}
	if _, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: images[true].ImageId}); err != nil {
		t.Errorf("deregistering a build's image: %v", err)
	}
}

// A removal whose response is lost is requested again, and the minimum policy denies
// it, as the resource and its tags are gone.
func TestLostRemovalsWithMinimumPolicy(t *testing.T) {
	two := policyCases[1]
	least := required(two.minimum(t))
	least.Statement = append(least.Statement, policy.Statement{Effect: "Allow", Action: policy.Strings{"ec2:Describe*"}, Resource: policy.Strings{"*"}})
	for _, action := range []string{"DeleteKeyPair", "DeleteSecurityGroup", "TerminateInstances", "DeregisterImage", "DeleteSnapshot"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			fails := action == "DeregisterImage" || action == "DeleteSnapshot"
			if fails {
				w.aws.AddFault(lateFault)
			}
			w.aws.Allow(least)
			lost := &fault{world: w, action: action, nths: []int{1}, answer: func(r *http.Request) (*http.Response, error) {
				_, _ = w.RoundTrip(r)
				return nil, io.ErrUnexpectedEOF
			}}
			w.transport = lost
			_, err := w.build(t, t.Context(), map[string]any{"preflight": "off"})
			if (err != nil) != fails || lost.seen.Load() == 0 {
				t.Errorf("got %v after %d calls\n%s", err, lost.seen.Load(), w.ui.String())
			}
			if left := w.left(); fails && len(left) > 0 || strings.Contains(w.ui.String(), "left behind") {
				t.Errorf("left are %v, and it says\n%s", left, w.ui.String())
			}
		})
	}
}

// Session Manager needs its actions, and EC2 Instance Connect only to send a key that
// EC2 does not know. test/testdata/session_manager.txtar proves them in a sandbox.
func TestMinimumPolicyForSessionManager(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.pem")
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		config map[string]any
		want   []string
	}{
		"a temporary key":          {nil, []string{"ssm:StartSession", "ssm:TerminateSession"}},
		"a key file and its name":  {map[string]any{"ssh_private_key_file": key, "ssh_keypair_name": "mine"}, []string{"ssm:StartSession", "ssm:TerminateSession"}},
		"a key file without names": {map[string]any{"ssh_private_key_file": key}, []string{"ec2-instance-connect:SendSSHPublicKey", "ssm:StartSession", "ssm:TerminateSession"}},
	} {
		t.Run(name, func(t *testing.T) {
			config := map[string]any{"ssh_interface": "session_manager", "iam_instance_profile": "ssm"}
			maps.Copy(config, test.config)
			least := policyCase{config: config}.minimum(t)
			for _, s := range least.Statement {
				if s.Sid == "SessionManager" && !slices.Equal(s.Action, test.want) {
					t.Errorf("got %q, want %q", s.Action, test.want)
				}
			}
			all := actionsOf(&least)
			if !slices.Contains(all, "ssm:StartSession") || !slices.Contains(all, "ssm:ResumeSession") || !slices.Contains(all, "ec2:DescribeInstanceStatus") {
				t.Errorf("the policy lacks actions of Session Manager: %q", all)
			}
			if slices.Contains(all, "ec2:AuthorizeSecurityGroupIngress") {
				t.Error("the policy allows to open a port, and none is opened")
			}
		})
	}
}

// TestSeedPolicy: the original policy of this project suffices, with one warning.
func TestSeedPolicy(t *testing.T) {
	text, err := os.ReadFile("testdata/seed-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	seed, err := policy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, others := range [][]string{nil, {"us-east-1"}} {
		regions := append([]string{"eu-central-1"}, others...)
		w := newWorld(t)
		w.aws.Allow(seed)
		artifact, err := w.build(t, t.Context(), map[string]any{"ami_regions": others})
		if err != nil {
			t.Fatalf("%v: %v\n%s", regions, err, w.ui.String())
		}
		for region, image := range w.oneImageEach(t, regions...) {
			if !strings.Contains(artifact.Id(), region+":"+image.ID) {
				t.Errorf("the artifact %s lacks %s of %s", artifact.Id(), image.ID, region)
			}
		}
		if n := strings.Count(w.ui.String(), "Warning: "); n > 1 {
			t.Errorf("got %d warnings, want 1:\n%s", n, w.ui.String())
		}
	}
}

// TestPreflightNamesTheAction: the preflight's dry runs need only the build's own
// permissions. They name a missing action before anything is created.
func TestPreflightNamesTheAction(t *testing.T) {
	two := policyCases[1]
	least := required(two.minimum(t))
	for _, action := range []string{"ec2:RunInstances", "ec2:CreateKeyPair", "ec2:CreateSecurityGroup", "ec2:CopyImage", "ec2:CreateTags"} {
		w, err := two.run(t, without(*least, action), false, map[string]any{"preflight": "on"})
		if err == nil || !strings.Contains(err.Error(), action+" is not allowed") {
			t.Errorf("without %s: got error %v, want the action in it", action, err)
		}
		if left := w.left(); len(left) > 0 || w.aws.Calls()["eu-central-1"]["CreateKeyPair"] > 0 {
			t.Errorf("without %s: got resources %v, want none", action, left)
		}
	}
	spot := policyCases[slices.IndexFunc(policyCases, func(c policyCase) bool { return c.name == "a fleet" })]
	allowed := required(spot.minimum(t))
	for _, action := range []string{"ec2:CreateLaunchTemplate", "ec2:CreateFleet"} {
		w, err := spot.run(t, without(*allowed, action), false, map[string]any{"preflight": "on"})
		if err == nil || !strings.Contains(err.Error(), action+" is not allowed") || !strings.Contains(err.Error(), `spot_allocation_strategy = "in-order"`) {
			t.Errorf("without %s: got error %v, want the action and the remedy in it", action, err)
		}
		if w.aws.Calls()["eu-central-1"]["CreateKeyPair"] > 0 {
			t.Errorf("without %s: got resources, want none", action)
		}
	}
	if w, err := spot.run(t, allowed, false, map[string]any{"preflight": "on"}); err != nil || strings.Count(w.ui.String(), "Warning: ") != 1 {
		t.Errorf("a fleet with all required statements: %v\n%s", err, w.ui.String())
	}
	if w, err := two.run(t, least, false, map[string]any{"preflight": "on"}); err != nil || strings.Count(w.ui.String(), "Warning: ") != 1 {
		t.Errorf("with all required statements: %v\n%s", err, w.ui.String())
	}
	all := two.minimum(t)
	if w, err := two.run(t, &all, false, map[string]any{"preflight": "on"}); err != nil || strings.Contains(w.ui.String(), "Warning: ") {
		t.Errorf("with the optional statements: %v\n%s", err, w.ui.String())
	}
}

// TestDeniedCallIsNotRetried: packer-plugin-amazon would retry these calls for minutes. A
// denied call is not retried.
func TestDeniedCallIsNotRetried(t *testing.T) {
	two := policyCases[1]
	least := required(two.minimum(t))
	for action, want := range map[string]string{
		"CreateKeyPair":       "no identity-based policy allows the ec2:CreateKeyPair action",
		"DeleteKeyPair":       "left behind: key-pair key-",
		"DeleteSecurityGroup": "left behind: security-group sg-",
		"TerminateInstances":  "left behind: security-group sg-", // the instance holds it
	} {
		w, err := two.run(t, without(*least, "ec2:"+action), false, nil)
		if said := fmt.Sprint(err, w.ui.String()); !strings.Contains(said, want) {
			t.Errorf("without %s: got output without %q:\n%s", action, want, said)
		}
		calls := w.aws.Calls()["eu-central-1"]
		if n := max(calls["CreateKeyPair"], calls["DeleteKeyPair"], calls["DeleteSecurityGroup"]); n != 1 {
			t.Errorf("without %s: got %d calls of one action, want 1", action, n)
		}
	}
}

// TestPrintedPolicy: preflight = "only" prints the policy of docs/iam.md for the defaults.
func TestPrintedPolicy(t *testing.T) {
	two := policyCases[1]
	w, err := two.run(t, nil, false, map[string]any{"preflight": "only"})
	least := two.minimum(t)
	if err != nil || !strings.Contains(w.ui.String(), least.JSON()) {
		t.Errorf("got output without the policy (error %v):\n%s", err, w.ui.String())
	}
	page, err := os.ReadFile("../../docs/iam.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```json\n"+least.JSON()+"\n```") {
		t.Errorf("docs/iam.md lacks this policy:\n%s", least.JSON())
	}
}
