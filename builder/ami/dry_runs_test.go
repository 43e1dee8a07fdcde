// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// taggers are the calls that tag the resources that they create.
var taggers = []string{"RunInstances", "CreateImage", "CopyImage", "CreateKeyPair", "CreateSecurityGroup", "CreateLaunchTemplate", "CreateFleet"}

// tagPolicy is an account whose organization denies creating a resource without the tag
// CostCenter.
type tagPolicy struct {
	*world
	mu    sync.Mutex
	forms map[string]url.Values // the last call by region, action and "dry"
}

func (p *tagPolicy) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	action := form.Get("Action")
	if !slices.Contains(taggers, action) {
		return p.world.RoundTrip(r)
	}
	region := strings.Split(r.Header.Get("Authorization"), "/")[2]
	key := region + " " + action
	if form.Get("DryRun") == "true" {
		key += " dry"
	}
	p.mu.Lock()
	p.forms[key] = form
	p.mu.Unlock()
	for _, kind := range kindsOf(form) {
		if !strings.Contains(kind, "CostCenter=cc-1") {
			answer := httptest.NewRecorder()
			answer.Header().Set("Content-Type", "text/xml")
			answer.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(answer, "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation. "+
				"User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ec2:%s on resource: arn:aws:ec2:::x with an explicit deny in a service control policy"+
				"</Message></Error></Errors></Response>", action)
			return answer.Result(), nil
		}
	}
	return p.world.RoundTrip(r)
}

// kindsOf lists the tag specifications of a call: the resource kind and its tags, with
// times replaced.
func kindsOf(form url.Values) (kinds []string) {
	for i := 1; form.Has(fmt.Sprintf("TagSpecification.%d.ResourceType", i)); i++ {
		prefix := fmt.Sprintf("TagSpecification.%d.", i)
		kind := []string{form.Get(prefix + "ResourceType")}
		for n := 1; form.Has(fmt.Sprintf("%sTag.%d.Key", prefix, n)); n++ {
			key, value := form.Get(fmt.Sprintf("%sTag.%d.Key", prefix, n)), form.Get(fmt.Sprintf("%sTag.%d.Value", prefix, n))
			if strings.HasSuffix(key, ":expires") {
				value = "a time"
			}
			kind = append(kind, key+"="+value)
		}
		slices.Sort(kind[1:])
		kinds = append(kinds, strings.Join(kind, " "))
	}
	return kinds
}

// TestDryRunsMatchCalls: a dry run has the parameters and tags of the real call, except
// for resources that do not exist yet.
func TestDryRunsMatchCalls(t *testing.T) {
	cost := map[string]string{"CostCenter": "cc-1"}
	tagged := map[string]any{"tags": cost, "snapshot_tags": cost, "run_tags": cost, "run_volume_tags": cost, "spot_tags": cost, "skip_ami_run_tags": true}
	for name, more := range map[string]map[string]any{
		"two regions":       {"ami_description": "of {{ .SourceAMI }}", "user_data": "#!/bin/sh\n"},
		"a timed copy":      {"snapshot_copy_duration_minutes": 60},
		"an encrypted copy": {"encrypt_boot": true, "tags": map[string]string{"CostCenter": "cc-1", "Source": "{{ .SourceAMIName }}"}, "skip_ami_run_tags": false},
		"a fleet":           {"spot_price": "auto"},
		"spot in one zone":  {"spot_price": "auto", "availability_zone": "eu-central-1a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := &tagPolicy{world: w, forms: map[string]url.Values{}}
			w.transport = p
			config := maps.Clone(tagged)
			maps.Copy(config, more)
			if more["spot_price"] == nil {
				delete(config, "spot_tags")
			}
			if _, err := w.build(t, t.Context(), config); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			for _, action := range taggers {
				if p.forms["eu-central-1 "+action] == nil && p.forms["us-east-1 "+action] == nil {
					continue
				}
				dry := 0
				for key, form := range p.forms {
					call, made := p.forms[strings.TrimSuffix(key, " dry")]
					if !strings.HasSuffix(key, " "+action+" dry") || !made {
						continue
					}
					dry++
					if want, got := comparable(action, call), comparable(action, form); !maps.Equal(want, got) {
						t.Errorf("%s: got dry run\n%v\nwant, as in the call,\n%v", key, got, want)
					}
				}
				if dry == 0 {
					t.Errorf("got no dry run of %s", action)
				}
			}
		})
	}
}

// comparable returns the parameters that a dry run can share with its call.
func comparable(action string, form url.Values) map[string]string {
	launched := url.Values{}
	for key := range form {
		if inner, ok := strings.CutPrefix(key, "LaunchTemplateData."); ok {
			launched.Set(inner, form.Get(key))
		}
	}
	out := map[string]string{"tags": strings.Join(kindsOf(form), "\n"), "launched tags": strings.Join(kindsOf(launched), "\n")}
	for key := range form {
		switch {
		case strings.HasPrefix(key, "TagSpecification."), strings.HasPrefix(key, "LaunchTemplateData.TagSpecification."), key == "DryRun", key == "ClientToken":
		case action == "CopyImage" && key == "SourceImageId", action == "CreateSecurityGroup" && (key == "GroupName" || key == "VpcId"):
		case action == "RunInstances" && (strings.HasPrefix(key, "SecurityGroupId.") || key == "KeyName"):
		case action == "CreateLaunchTemplate" && (strings.HasPrefix(key, "LaunchTemplateData.SecurityGroupId.") || key == "LaunchTemplateData.KeyName" || key == "LaunchTemplateName"):
		case strings.HasSuffix(key, ".LaunchTemplateSpecification.LaunchTemplateId"):
		default:
			out[key] = form.Get(key)
		}
	}
	return out
}

// TestDryRunsFindMissingTags: a build without a mandatory tag fails before it creates a
// resource, or for CreateImage before it provisions.
func TestDryRunsFindMissingTags(t *testing.T) {
	cost := map[string]string{"CostCenter": "cc-1"}
	for name, test := range map[string]struct {
		config map[string]any
		found  string
	}{
		"copies":    {map[string]any{"run_tags": cost, "run_volume_tags": cost, "skip_ami_run_tags": true}, "permissions: ec2:CopyImage is not allowed in us-east-1"},
		"volumes":   {map[string]any{"run_tags": cost}, "permissions: ec2:RunInstances is not allowed in eu-central-1"},
		"the image": {map[string]any{"run_tags": cost, "run_volume_tags": cost, "skip_ami_run_tags": true, "ami_regions": []string{"eu-central-1"}}, "ec2:CreateImage: a dry run in eu-central-1 failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.transport = &tagPolicy{world: w, forms: map[string]url.Values{}}
			_, err := w.build(t, t.Context(), test.config)
			if err == nil || !strings.Contains(err.Error(), test.found) {
				t.Errorf("got %v, want %s", err, test.found)
			}
			if left := w.left(); len(left) > 0 {
				t.Errorf("got leftover resources %v, want none", left)
			}
		})
	}
}

// TestDryRunErrors: a dry-run error that is not about permissions is a finding if the
// call would fail too, and a warning otherwise.
func TestDryRunErrors(t *testing.T) {
	for _, test := range []struct {
		action, code string
		found, said  string
	}{
		{"RunInstances", "VPCIdNotSpecified", "vpc_id, subnet_id: a dry run in eu-central-1 failed (VPCIdNotSpecified", ""},
		{"RunInstances", "MissingInput", "ec2:RunInstances: a dry run in eu-central-1 failed (MissingInput", ""},
		{"RunInstances", "InvalidParameterCombination", "ec2:RunInstances: a dry run in eu-central-1 failed (InvalidParameterCombination", ""},
		{"RunInstances", "InvalidGroup.NotFound", "", "Warning: ec2:RunInstances: a dry run in eu-central-1 failed (InvalidGroup.NotFound"},
		{"RunInstances", "InsufficientInstanceCapacity", "", ""},
		{"CopyImage", "InvalidParameterValue", "", "Warning: ec2:CopyImage: a dry run in us-east-1 failed (InvalidParameterValue"},
		{"CopyImage", "MissingParameter", "ec2:CopyImage: a dry run in us-east-1 failed (MissingParameter", ""},
		{"RunInstances", "InvalidRequest", "", "Warning: ec2:RunInstances: a dry run in eu-central-1 failed (InvalidRequest"},
		{"RunInstances", "VcpuLimitExceeded", "", "Warning: ec2:RunInstances: a dry run in eu-central-1 failed (VcpuLimitExceeded"},
		{"RunInstances", "RequestLimitExceeded", "", ""},
		{"RunInstances", "InternalError", "", ""},
		{"CopyImage", "InvalidRequest", "", ""}, // the owner of the source image does not share its snapshots
		{"CreateKeyPair", "MissingInput", "ec2:CreateKeyPair: a dry run in eu-central-1 failed (MissingInput", ""},
		{"CreateSecurityGroup", "VPCIdNotSpecified", "vpc_id, subnet_id: a dry run in eu-central-1 failed", ""},
		{"CreateSecurityGroup", "SecurityGroupLimitExceeded", "", "Warning: ec2:CreateSecurityGroup: a dry run"},
	} {
		t.Run(test.action+" "+test.code, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.aws.AddFault(rehearsal.Fault{Action: test.action, Code: test.code, Where: map[string]string{"DryRun": "true"}})
			_, err := w.build(t, t.Context(), map[string]any{"preflight": "only"})
			if (err != nil) != (test.found != "") || err != nil && !strings.Contains(err.Error(), test.found) {
				t.Errorf("got %v, want %s", err, test.found)
			}
			if said := w.ui.String(); test.said != "" && !strings.Contains(said, test.said) || test.found == "" && test.said == "" && strings.Contains(said, "Warning") {
				t.Errorf("got output without %q:\n%s", test.said, said)
			}
		})
	}
}

// A region without a default VPC is reported before anything is created. With a
// subnet the build needs none; nor does its temporary instance profile.
func TestNoDefaultVPC(t *testing.T) {
	for _, kept := range []bool{true, false} { // the VPC itself
		w := newWorld(t)
		subnet := w.otherSubnet(t)
		w.dropDefaultNetwork(t, kept)
		want := "ec2:RunInstances: a dry run in eu-central-1 failed (MissingInput: No subnets found for the default VPC"
		if !kept {
			want = "vpc_id, subnet_id: a dry run in eu-central-1 failed (VPCIdNotSpecified: No default VPC for this user"
		}
		_, err := w.build(t, t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("VPC kept: %t: got %v, want %s", kept, err, want)
		}
		if left := w.left(); len(left) > 0 {
			t.Errorf("left %v", left)
		}
		for _, kind := range []string{"g4dn.xlarge", "g5g.xlarge"} {
			config := withProfile()
			maps.Copy(config, map[string]any{"subnet_id": subnet, "instance_types": []string{kind}, "ami_name": "of-" + kind})
			if _, err := w.build(t, t.Context(), config); err != nil {
				t.Errorf("VPC kept: %t: %s: %v\n%s", kept, kind, err, w.ui.String())
			}
		}
	}
}

// otherSubnet returns a subnet outside the default VPC.
func (w *world) otherSubnet(t *testing.T) string {
	t.Helper()
	client := w.client("eu-central-1")
	vpc, err := client.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	subnet, err := client.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.0.0.0/24"), AvailabilityZone: aws.String("eu-central-1a")})
	if err != nil {
		t.Fatal(err)
	}
	return *subnet.Subnet.SubnetId
}

// dropDefaultNetwork deletes the default subnets, and the default VPC unless it is
// kept.
func (w *world) dropDefaultNetwork(t *testing.T, keepVPC bool) {
	t.Helper()
	client := w.client("eu-central-1")
	found, err := client.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: aws.String("default-for-az"), Values: []string{"true"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, subnet := range found.Subnets {
		if _, err := client.DeleteSubnet(t.Context(), &ec2.DeleteSubnetInput{SubnetId: subnet.SubnetId}); err != nil {
			t.Fatal(err)
		}
	}
	if keepVPC {
		return
	}
	if _, err := client.DeleteVpc(t.Context(), &ec2.DeleteVpcInput{VpcId: found.Subnets[0].VpcId}); err != nil {
		t.Fatal(err)
	}
}
