// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// listing records every call of a build.
type listing struct {
	*world
	mu   sync.Mutex
	made map[string][]url.Values // by action
}

func newListing(t *testing.T) *listing {
	r := &listing{world: newWorld(t), made: map[string][]url.Values{}}
	r.transport = r
	return r
}

func (r *listing) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	action := form.Get("Action")
	r.mu.Lock()
	r.made[action] = append(r.made[action], form)
	r.mu.Unlock()
	return r.world.RoundTrip(req)
}

// sent reports whether a call of an action has a parameter. "*" in its name matches an
// index, and the value "*" matches any value.
func (r *listing) sent(action, name, value string) bool {
	pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(name), `\*`, "[0-9]+") + "$")
	for _, form := range r.made[action] {
		for key, values := range form {
			if pattern.MatchString(key) && (value == "*" || slices.Contains(values, value)) {
				return true
			}
		}
	}
	return false
}

// tagged reports whether a call of an action tags a kind of resource with key = value.
func (r *listing) tagged(action, kind, key, value string) bool {
	for _, form := range r.made[action] {
		for n := 1; ; n++ {
			spec := fmt.Sprintf("TagSpecification.%d.", n)
			if form.Get(spec+"ResourceType") == "" {
				break
			}
			for i := 1; form.Get(spec+"ResourceType") == kind && form.Get(fmt.Sprintf("%sTag.%d.Key", spec, i)) != ""; i++ {
				if form.Get(fmt.Sprintf("%sTag.%d.Key", spec, i)) == key && form.Get(fmt.Sprintf("%sTag.%d.Value", spec, i)) == value {
					return true
				}
			}
		}
	}
	return false
}

var nextYear = time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339)

// effects are options of amazon-ebs and the requests that they cause, as
// "Action Parameter = value" or "Action tags kind Key = value". The prefix "!" marks a
// request that must not be sent.
var effects = []struct {
	config map[string]any
	want   []string
}{
	{map[string]any{"ami_name": "its name", "ami_description": "made in {{ .BuildRegion }} from {{ len .SourceAMITags }} tags"},
		[]string{"CreateImage Name = its name", "CopyImage Name = its name", "CreateImage Description = made in eu-central-1 from 0 tags", "CopyImage Description = made in eu-central-1 from 0 tags"}},
	{map[string]any{"ami_regions": []string{"us-west-2"}, "snapshot_copy_duration_minutes": 30},
		[]string{"CopyImage SourceRegion = eu-central-1", "CopyImage SnapshotCopyCompletionDurationMinutes = 30"}},
	{map[string]any{"ami_users": []string{"444455556666"}, "ami_groups": []string{"all"}, "ami_org_arns": []string{"arn:aws:organizations::111122223333:organization/o-abcdefghij"}, "ami_ou_arns": []string{"arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678"}},
		[]string{"ModifyImageAttribute LaunchPermission.Add.*.UserId = 444455556666", "ModifyImageAttribute LaunchPermission.Add.*.Group = all",
			"ModifyImageAttribute LaunchPermission.Add.*.OrganizationArn = arn:aws:organizations::111122223333:organization/o-abcdefghij", "ModifyImageAttribute LaunchPermission.Add.*.OrganizationalUnitArn = arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678"}},
	{map[string]any{"ami_product_codes": []string{"code1"}}, []string{"ModifyImageAttribute ProductCode.1 = code1"}},
	{map[string]any{"snapshot_users": []string{"444455556666"}, "snapshot_groups": []string{"all"}},
		[]string{"ModifySnapshotAttribute UserId.1 = 444455556666", "ModifySnapshotAttribute UserGroup.1 = all"}},
	{map[string]any{"imds_support": "v2.0"}, []string{"ModifyImageAttribute ImdsSupport.Value = v2.0"}},
	{map[string]any{"deprecate_at": nextYear}, []string{"EnableImageDeprecation DeprecateAt = " + nextYear}},
	{map[string]any{"deregistration_protection": map[string]any{"enabled": true, "with_cooldown": true}}, []string{"EnableImageDeregistrationProtection WithCooldown = true"}},
	{map[string]any{"preflight": "off", "encrypt_boot": true, "kms_key_id": "alias/here", "region_kms_key_ids": map[string]string{"us-east-1": "alias/there"}},
		[]string{"CopyImage KmsKeyId = alias/here", "CopyImage KmsKeyId = alias/there", "CopyImage Encrypted = true"}},
	{map[string]any{"skip_save_build_region": true}, []string{"!CreateImage Name = sweep", "CopyImage Name = sweep"}},
	{map[string]any{"skip_create_ami": true}, []string{"!CreateImage Name = *", "RunInstances ImageId = *"}},
	{map[string]any{"skip_region_validation": true}, []string{"!DescribeRegions Version = *"}},
	{map[string]any{"tags": map[string]string{"Base": "{{ .SourceAMIName }}"}, "tag": []map[string]any{{"key": "One", "value": "1"}}},
		[]string{"CreateImage tags image One = 1", "CreateImage tags snapshot One = 1", "CopyImage tags image One = 1", "!CreateImage tags image Base = {{ .SourceAMIName }}"}},
	{map[string]any{"snapshot_tags": map[string]string{"S": "s"}, "snapshot_tag": []map[string]any{{"key": "T", "value": "t"}}},
		[]string{"CreateImage tags snapshot S = s", "CopyImage tags snapshot T = t", "!CreateImage tags image S = s"}},
	{map[string]any{"run_tags": map[string]string{"R": "r"}, "run_tag": []map[string]any{{"key": "Q", "value": "q"}}},
		[]string{"RunInstances tags instance R = r", "RunInstances tags network-interface Q = q", "CreateKeyPair tags key-pair R = r", "CreateSecurityGroup tags security-group R = r",
			"CreateImage tags image R = r", "!RunInstances tags volume R = r"}},
	{map[string]any{"run_tags": map[string]string{"R": "r"}, "skip_ami_run_tags": true}, []string{"RunInstances tags instance R = r", "!CreateImage tags image R = r"}},
	{map[string]any{"run_volume_tags": map[string]string{"V": "{{ .BuildRegion }}"}, "run_volume_tag": []map[string]any{{"name": "W", "value": "w"}}},
		[]string{"RunInstances tags volume V = eu-central-1", "RunInstances tags volume W = w", "!CreateImage tags image V = eu-central-1"}},
	{map[string]any{"spot_price": "auto", "spot_tags": map[string]string{"P": "{{ .BuildRegion }}"}, "spot_tag": []map[string]any{{"key": "O", "value": "o"}}},
		[]string{"CreateFleet TargetCapacitySpecification.DefaultTargetCapacityType = spot", "CreateLaunchTemplate LaunchTemplateData.TagSpecification.4.ResourceType = spot-instances-request", "!StopInstances InstanceId.1 = *"}},
	{map[string]any{"spot_price": "auto", "fleet_tags": map[string]string{"F": "{{ .BuildRegion }}"}, "fleet_tag": []map[string]any{{"key": "G", "value": "g"}}},
		[]string{"CreateFleet tags fleet F = eu-central-1", "CreateFleet tags fleet G = g", "!CreateLaunchTemplate tags launch-template F = eu-central-1"}},
	{map[string]any{"spot_price": "auto", "spot_tags": map[string]string{"P": "{{ .BuildRegion }}"}, "spot_tag": []map[string]any{{"key": "O", "value": "o"}}, "availability_zone": "eu-central-1a"},
		[]string{"RunInstances InstanceMarketOptions.MarketType = spot", "RunInstances tags spot-instances-request P = eu-central-1", "RunInstances tags spot-instances-request O = o", "!StopInstances InstanceId.1 = *"}},
	{map[string]any{"spot_price": "auto", "spot_instance_types": []string{"g5.xlarge"}, "spot_allocation_strategy": "lowest-price"},
		[]string{"CreateFleet LaunchTemplateConfigs.1.Overrides.1.InstanceType = g5.xlarge", "CreateFleet SpotOptions.AllocationStrategy = lowest-price"}},
	{map[string]any{"ebs_optimized": true, "enable_nitro_enclave": true, "instance_type": "g5.xlarge"},
		[]string{"RunInstances EbsOptimized = true", "RunInstances EnclaveOptions.Enabled = true", "RunInstances InstanceType = g5.xlarge"}},
	{map[string]any{"instance_type": "t3.micro", "enable_unlimited_credits": true}, []string{"RunInstances CreditSpecification.CpuCredits = unlimited"}},
	{map[string]any{"instance_type": "t3.micro", "enable_t2_unlimited": true}, []string{"RunInstances CreditSpecification.CpuCredits = unlimited"}},
	{map[string]any{"metadata_options": map[string]any{"http_endpoint": "enabled", "http_tokens": "optional", "http_put_response_hop_limit": 3, "instance_metadata_tags": "enabled"}},
		[]string{"RunInstances MetadataOptions.HttpTokens = optional", "RunInstances MetadataOptions.HttpPutResponseHopLimit = 3", "RunInstances MetadataOptions.InstanceMetadataTags = enabled"}},
	{map[string]any{"metadata_options": map[string]any{"http_endpoint": "disabled"}}, []string{"RunInstances MetadataOptions.HttpEndpoint = disabled", "!RunInstances MetadataOptions.HttpTokens = *"}},
	{map[string]any{"placement": map[string]any{"tenancy": "host", "host_id": "h-1"}},
		[]string{"RunInstances Placement.Tenancy = host", "RunInstances Placement.HostId = h-1"}},
	{map[string]any{"placement": map[string]any{"tenancy": "host", "host_resource_group_arn": "arn:aws:resource-groups:us-east-1:111122223333:group/h"}}, []string{"RunInstances Placement.HostResourceGroupArn = arn:aws:resource-groups:us-east-1:111122223333:group/h"}},
	{map[string]any{"tenancy": "dedicated"}, []string{"RunInstances Placement.Tenancy = dedicated"}},
	{map[string]any{"license_specifications": []map[string]any{{"license_configuration_request": map[string]any{"license_configuration_arn": "arn:l"}}}},
		[]string{"RunInstances LicenseSpecification.1.LicenseConfigurationArn = arn:l"}},
	{map[string]any{"availability_zone": "eu-central-1b"}, []string{"RunInstances Placement.AvailabilityZone = eu-central-1b"}},
	{map[string]any{"associate_public_ip_address": false}, []string{"RunInstances NetworkInterface.1.AssociatePublicIpAddress = false"}},
	{map[string]any{"user_data": "#!/bin/sh\necho mine\n", "max_build_time": "0"}, []string{"RunInstances UserData = " + base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\necho mine\n"))}},
	{map[string]any{"user_data_file": "testdata/user-data.sh", "max_build_time": "0"}, []string{"RunInstances UserData = " + base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))}},
	{map[string]any{"iam_instance_profile": "mine", "skip_profile_validation": true}, []string{"RunInstances IamInstanceProfile.Name = mine", "!GetInstanceProfile Version = *"}},
	{map[string]any{"iam_instance_profile": "mine"}, []string{"GetInstanceProfile InstanceProfileName = mine"}},
	{map[string]any{"temporary_iam_instance_profile_policy_document": map[string]any{"Version": "2012-10-17", "Statement": []map[string]any{{"Effect": "Allow", "Action": []string{"ssm:*"}, "Resource": []string{"*"}}}}},
		[]string{`PutRolePolicy PolicyDocument = {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:*"],"Resource":["*"]}]}`, "RunInstances IamInstanceProfile.Name = *", "DeleteInstanceProfile Version = *", "DeleteRole Version = *"}},
	{map[string]any{"shutdown_behavior": "stop"}, []string{"RunInstances InstanceInitiatedShutdownBehavior = stop"}},
	{map[string]any{"sriov_support": true, "ena_support": true}, []string{"ModifyInstanceAttribute SriovNetSupport.Value = simple", "ModifyInstanceAttribute EnaSupport.Value = true"}},
	{map[string]any{"temporary_key_pair_name": "k", "temporary_key_pair_type": "ed25519"}, []string{"CreateKeyPair KeyName = k", "CreateKeyPair KeyType = ed25519", "DeleteKeyPair KeyName = k"}},
	{map[string]any{"preflight": "off", "launch_block_device_mappings": []map[string]any{{"device_name": "/dev/sda1", "volume_size": 40, "volume_type": "gp3", "iops": 4000, "throughput": 300, "delete_on_termination": true, "encrypted": true, "kms_key_id": "alias/k"}, {"device_name": "/dev/sdb", "no_device": true}, {"device_name": "/dev/sdc", "virtual_name": "ephemeral0"}}},
		[]string{"RunInstances BlockDeviceMapping.1.Ebs.VolumeSize = 40", "RunInstances BlockDeviceMapping.1.Ebs.Iops = 4000", "RunInstances BlockDeviceMapping.1.Ebs.Throughput = 300", "RunInstances BlockDeviceMapping.1.Ebs.Encrypted = true",
			"RunInstances BlockDeviceMapping.1.Ebs.KmsKeyId = alias/k", "RunInstances BlockDeviceMapping.1.Ebs.VolumeType = gp3", "RunInstances BlockDeviceMapping.1.Ebs.DeleteOnTermination = true", "RunInstances BlockDeviceMapping.*.VirtualName = ephemeral0"}},
	{map[string]any{"ami_block_device_mappings": []map[string]any{{"device_name": "/dev/sdb", "virtual_name": "ephemeral0"}}},
		[]string{"CreateImage BlockDeviceMapping.1.VirtualName = ephemeral0"}},
	{map[string]any{"source_ami_filter": map[string]any{"filters": map[string]string{"name": "ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-amd64-server-*"}, "owners": []string{"099720109477"}, "most_recent": true}, "ssh_username": "ubuntu"},
		[]string{"DescribeImages Owner.1 = 099720109477", "DescribeImages Filter.1.Value.1 = ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-amd64-server-*"}},
}

// An empty list of types may be unknown until the build, which refuses it before anything
// is created.
func TestEmptyTypes(t *testing.T) {
	w := newWorld(t)
	_, err := w.build(t, t.Context(), map[string]any{"instance_types": []string{}})
	if err == nil || !strings.Contains(err.Error(), "instance_types: got an empty list, want the types to try") || w.calls > 0 {
		t.Errorf("got %v after %d calls", err, w.calls)
	}
}

func TestOptionsTakeEffect(t *testing.T) {
	for _, test := range effects {
		t.Run(strings.Join(slices.Sorted(maps.Keys(test.config)), " "), func(t *testing.T) {
			t.Parallel()
			r := newListing(t)
			r.alias(t, "eu-central-1", "alias/here", "alias/k")
			r.alias(t, "us-east-1", "alias/there")
			if _, err := r.build(t, t.Context(), test.config); err != nil {
				t.Fatalf("%v\n%s", err, r.ui.String())
			}
			for _, want := range test.want {
				what, unwanted := strings.CutPrefix(want, "!")
				what, value, _ := strings.Cut(what, " = ")
				action, name, _ := strings.Cut(what, " ")
				var got bool
				if tag, ok := strings.CutPrefix(name, "tags "); ok {
					kind, key, _ := strings.Cut(tag, " ")
					got = r.tagged(action, kind, key, value)
				} else {
					got = r.sent(action, name, value)
				}
				if got == unwanted {
					t.Errorf("%v: want %s; got these calls of %s:\n%v", test.config, want, action, r.made[action])
				}
			}
		})
	}
}

// TestExistingResourceOptions covers options that refer to existing resources.
func TestExistingResourceOptions(t *testing.T) {
	w := newWorld(t)
	ctx, ec2 := t.Context(), w.client("eu-central-1")
	network, err := ec2.DescribeSubnets(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	group, err := ec2.DescribeSecurityGroups(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	images, err := ec2.DescribeImages(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	source := ""
	for _, image := range images.Images {
		if strings.Contains(*image.Name, "noble-24.04-amd64") {
			source = *image.ImageId
		}
	}
	subnet, vpc, sg := *network.Subnets[1].SubnetId, *network.Subnets[1].VpcId, *group.SecurityGroups[0].GroupId
	for name, test := range map[string]struct {
		config map[string]any
		want   map[string]string
	}{
		"source_ami": {map[string]any{"source_ami": source, "ssh_username": "ubuntu"}, map[string]string{"ImageId": source}},
		"subnet_id":  {map[string]any{"subnet_id": subnet}, map[string]string{"SubnetId": subnet}},
		"subnet_filter": {map[string]any{"subnet_filter": map[string]any{"filters": map[string]string{"subnet-id": subnet}, "most_free": true, "random": false}},
			map[string]string{"SubnetId": subnet}},
		"vpc_id":             {map[string]any{"vpc_id": vpc, "subnet_id": subnet}, map[string]string{"SubnetId": subnet}},
		"vpc_filter":         {map[string]any{"vpc_filter": map[string]any{"filters": map[string]string{"vpc-id": vpc}}, "subnet_id": subnet}, map[string]string{"SubnetId": subnet}},
		"security_group_id":  {map[string]any{"security_group_id": sg}, map[string]string{"SecurityGroupId.1": sg}},
		"security_group_ids": {map[string]any{"security_group_ids": []string{sg}}, map[string]string{"SecurityGroupId.1": sg}},
		"security_group_filter": {map[string]any{"security_group_filter": map[string]any{"filters": map[string]string{"group-id": sg}}},
			map[string]string{"SecurityGroupId.1": sg}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &listing{world: w, made: map[string][]url.Values{}}
			w.transport = r
			test.config["skip_create_ami"] = true
			if _, err := w.build(t, ctx, test.config); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			for param, value := range test.want {
				launches := r.made["RunInstances"] // the first is the preflight's dry run
				if got := launches[len(launches)-1].Get(param); got != value {
					t.Errorf("RunInstances %s: got %q, want %q", param, got, value)
				}
			}
			if _, made := r.made["CreateSecurityGroup"]; made == strings.HasPrefix(name, "security_group") {
				t.Errorf("got a security group created: %v, want %v", made, !made)
			}
		})
	}
}

// TestDebug: with -debug, each step pauses, the output has the instance's addresses, and
// the key is saved.
func TestDebug(t *testing.T) {
	t.Chdir(t.TempDir())
	w := newWorld(t)
	_, err := w.build(t, t.Context(), map[string]any{"packer_debug": true, "packer_build_name": "x", "skip_create_ami": true})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	for _, want := range []string{"Private IP: ", "Public IP: ", "ec2_x.pem", "Pausing after run of step 'key_pair'", "Pausing after run of step 'launch'", "Pausing before cleanup of step 'launch'"} {
		if !strings.Contains(w.ui.String(), want) {
			t.Errorf("got output without %q:\n%s", want, w.ui.String())
		}
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("got leftover resources %v, want none", left)
	}
}

// TestOnError covers the values of -on-error for a failing step.
func TestOnError(t *testing.T) {
	for _, test := range []struct {
		onError string
		answers []string
		ok      bool
		kinds   string // resources in the build's region afterwards
	}{
		{"cleanup", nil, false, ""},
		{"ask", []string{"c"}, false, ""},
		{"ask", []string{"a"}, false, "instance key-pair security-group volume"},
		{"ask", []string{"r"}, true, "image snapshot"},
		{"abort", nil, false, "instance key-pair security-group volume"},
		{"run-cleanup-provisioner", nil, false, "instance key-pair security-group volume"},
	} {
		t.Run(test.onError+strings.Join(test.answers, ""), func(t *testing.T) {
			w := newWorld(t)
			w.answers = test.answers
			w.aws.AddFault(rehearsal.Fault{Action: "CreateImage", Nth: 1, Code: "InvalidParameterValue"})
			_, err := w.build(t, t.Context(), map[string]any{"packer_on_error": test.onError})
			if (err == nil) != test.ok {
				t.Errorf("got error %v\n%s", err, w.ui.String())
			}
			var kinds []string
			for _, r := range w.aws.Inventory()["eu-central-1"] {
				kinds = append(kinds, r.Kind)
			}
			slices.Sort(kinds)
			if got := strings.Join(kinds, " "); got != test.kinds {
				t.Errorf("got resources %q, want %q\n%s", got, test.kinds, w.ui.String())
			}
			if asked := strings.Contains(w.ui.String(), "[r] retry step"); asked != (test.onError == "ask") {
				t.Errorf("got a prompt: %v\n%s", asked, w.ui.String())
			}
		})
	}
}
