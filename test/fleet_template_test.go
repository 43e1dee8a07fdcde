// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
)

// templates are the templates of the example: with a region map, and with an SSM
// parameter.
var templates = []string{"../example/eth-mining-cfn.template", "../example/eth-mining-ssm.template"}

func readTemplate(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTemplatesLint: cfn-lint reports nothing, in no region of the map.
func TestTemplatesLint(t *testing.T) {
	if _, err := exec.LookPath("cfn-lint"); err != nil {
		t.Skip("SKIPPED: needs cfn-lint: pip install cfn-lint")
	}
	text := readTemplate(t, templates[0])
	if lines := strings.Split(text, "\n"); lines[31] != "  AWSRegion2AMI:" {
		t.Errorf("got line 32 %q, want the map AWSRegion2AMI", lines[31])
	}
	var regions []string
	for _, row := range regexp.MustCompile(`(?m)^    ([a-z]+-[a-z]+-[0-9]):\n      AMI:`).FindAllStringSubmatch(text, -1) {
		regions = append(regions, row[1])
	}
	if len(regions) != 8 {
		t.Errorf("got regions %v, want eight", regions)
	}
	args := append([]string{"--include-checks", "I", "--regions"}, regions...)
	if out, err := exec.Command("cfn-lint", append(append(args, "--"), templates...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("cfn-lint: %v\n%s", err, out)
	}
}

// TestTemplateRole: the role of the instances allows what the image's helpers request,
// Session Manager, and nothing else.
func TestTemplateRole(t *testing.T) {
	sources, err := filepath.Glob("../provisioner/gpu/scripts/image/*")
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]string{"monitoring": "cloudwatch"}
	var want []string
	add := func(service, action string) {
		if of := services[service]; of != "" {
			service = of
		}
		if name := service + ":" + action; !slices.Contains(want, name) {
			want = append(want, name)
		}
	}
	for _, file := range sources {
		text := readTemplate(t, file)
		for _, m := range regexp.MustCompile(`aws_query ([a-z]+) .*Action=([A-Za-z]+)`).FindAllStringSubmatch(text, -1) {
			add(m[1], m[2])
		}
		for _, m := range regexp.MustCompile(`aws_request ([a-z]+) .*\.([A-Z][A-Za-z]+)\)`).FindAllStringSubmatch(text, -1) {
			add(m[1], m[2])
		}
	}
	if len(want) != 4 {
		t.Errorf("the helpers request %v, want four actions", want)
	}
	want = append(want, "ssm:UpdateInstanceInformation",
		"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel")
	_, policy, _ := strings.Cut(readTemplate(t, templates[0]), "      Policies:\n")
	policy, _, _ = strings.Cut(policy, "\n\n")
	policy = regexp.MustCompile(`Resource:.*|Condition:.*`).ReplaceAllString(policy, "")
	got := regexp.MustCompile(`\b[a-z]+:[A-Z][A-Za-z]+`).FindAllString(policy, -1)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the role allows\n%v, want\n%v", got, want)
	}
}

// TestTemplatesInMoto creates, updates and deletes stacks of the templates in an
// independent CloudFormation. It has no rollback, and waits for no signal.
func TestTemplatesInMoto(t *testing.T) {
	cfg := mototest.Start(t, "eu-central-1")
	network := ec2.NewFromConfig(cfg)
	subnets, err := network.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil || len(subnets.Subnets) == 0 {
		t.Fatal(err)
	}
	images, err := network.DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
	if err != nil || len(images.Images) < 2 {
		t.Fatal(err)
	}
	if _, err := ssm.NewFromConfig(cfg).PutParameter(t.Context(), &ssm.PutParameterInput{
		Name: aws.String("/ethminer/latest"), Value: images.Images[0].ImageId, Type: ssmtypes.ParameterTypeString,
	}); err != nil {
		t.Fatal(err)
	}
	parameters := func(pairs ...string) (list []types.Parameter) {
		pairs = append(pairs, "Pools", "stratum1+ssl://a.example:1 stratum1+ssl://b.example:2", "Wallet", "0xabc", "Subnets", *subnets.Subnets[0].SubnetId)
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, types.Parameter{ParameterKey: &pairs[i], ParameterValue: &pairs[i+1]})
		}
		return list
	}
	vpc := *subnets.Subnets[0].VpcId
	client := cloudformation.NewFromConfig(cfg)
	// moto's images differ, and moto requires the size of a volume.
	withImage := func(n int) string {
		text := regexp.MustCompile(`AMI: ami-[0-9a-f]+`).ReplaceAllString(readTemplate(t, templates[0]), "AMI: "+*images.Images[n].ImageId)
		return strings.Replace(text, "VolumeType: gp3", "VolumeType: gp3, VolumeSize: 8", 1)
	}
	for _, test := range []struct {
		name            string
		body, newBody   string
		before, after   []types.Parameter
		resources, more []string
	}{
		{
			name: "everything", body: withImage(0),
			newBody: withImage(1),
			before:  parameters("Vpc", vpc, "OnDemandInstances", "1"),
			after: parameters("Vpc", vpc, "OnDemandInstances", "2", "SpotCapacity", "6", "SecondInstanceType", "g4dn.12xlarge", "Secrets", "/a/b",
				"Email", "a@b.example", "MonthlyBudget", "100", "MinHashRate", "20", "SshCidr", "203.0.113.0/24"),
			resources: []string{"InstanceProfile", "Miner", "OnDemandMiners", "Role", "SecurityGroup"},
			more:      []string{"Alerts", "SpotMiners"},
		},
		{
			name: "only spot", body: withImage(0),
			before: parameters("Vpc", vpc, "OnDemandInstances", "0", "SpotCapacity", "6"), resources: []string{"InstanceProfile", "Miner", "Role", "SecurityGroup", "SpotMiners"},
		},
		{
			name: "from SSM", body: strings.Replace(readTemplate(t, templates[1]), "VolumeType: gp3", "VolumeType: gp3, VolumeSize: 8", 1),
			before: parameters("Instances", "0"), resources: []string{"Miner", "Miners"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			stack := aws.String(strings.ReplaceAll(test.name, " ", "-"))
			if _, err := client.CreateStack(t.Context(), &cloudformation.CreateStackInput{
				StackName: stack, TemplateBody: &test.body, Parameters: test.before, Capabilities: []types.Capability{types.CapabilityCapabilityIam},
			}); err != nil {
				t.Fatal(err)
			}
			wantResources(t, client, stack, "CREATE_COMPLETE", test.resources...)
			if test.after != nil {
				if _, err := client.UpdateStack(t.Context(), &cloudformation.UpdateStackInput{
					StackName: stack, TemplateBody: &test.newBody, Parameters: test.after, Capabilities: []types.Capability{types.CapabilityCapabilityIam},
				}); err != nil {
					t.Fatal(err)
				}
				wantResources(t, client, stack, "UPDATE_COMPLETE", append(test.more, test.resources...)...)
			}
			if _, err := client.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: stack}); err != nil {
				t.Fatal(err)
			}
			if out, err := client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: stack}); err == nil && out.Stacks[0].StackStatus != types.StackStatusDeleteComplete {
				t.Errorf("got status %s after the deletion", out.Stacks[0].StackStatus)
			}
		})
	}
}

// wantResources waits for the status of a stack and compares its resources.
func wantResources(t *testing.T, client *cloudformation.Client, stack *string, status string, want ...string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		out, err := client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: stack})
		if err == nil && string(out.Stacks[0].StackStatus) == status {
			break
		}
		if err != nil || time.Now().After(end) {
			t.Fatalf("want %s: %v, %+v", status, err, out)
		}
	}
	out, err := client.ListStackResources(t.Context(), &cloudformation.ListStackResourcesInput{StackName: stack})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range out.StackResourceSummaries {
		if id := aws.ToString(r.LogicalResourceId); id != "" { // moto has no alarms and budgets, and lists conditions
			got = append(got, id)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got resources %v, want %v", got, want)
	}
}
