// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pool"
)

// stack is a stack of the example's template in a rehearsal.
type stack struct {
	api      *cloudformation.Client
	ec2      *ec2.Client
	endpoint string // of the rehearsal's AWS, as instances reach it
	values   map[string]string
}

// stackLatency lets a stack wait 90 s for a signal, which a good instance sends much
// earlier.
const stackLatency = "signal=90s"

func newStack(t *testing.T, session *rehearsal.Session) *stack {
	t.Helper()
	p, err := pool.Start(pool.Config{Difficulty: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	s := &stack{
		api: cloudformation.NewFromConfig(session.AWSConfig("eu-central-1")), ec2: ec2.NewFromConfig(session.AWSConfig("eu-central-1")),
		endpoint: "http://" + atGateway(t, session.Endpoint),
	}
	subnets, err := s.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil {
		t.Fatal(err)
	}
	s.values = map[string]string{
		"Coin": "custom", "Pools": "stratum1+tcp://" + atGateway(t, p.Addr()), "Wallet": "0xabc", "MinerArgs": "--cpu -t 1 --display-interval 1",
		"OnDemandInstances": "1", "Vpc": *subnets.Subnets[0].VpcId, "Subnets": *subnets.Subnets[0].SubnetId,
	}
	return s
}

var anyAMI = regexp.MustCompile(`ami-[0-9a-f]+`)

// body returns the template with an image, and with the rehearsal's endpoint for the
// instances.
func (s *stack) body(t *testing.T, image string) *string {
	t.Helper()
	text := anyAMI.ReplaceAllString(readTemplate(t, templates[0]), image)
	line := regexp.MustCompile(`(?m)^( +)ETHMINER_SIGNAL=.*\n`)
	if len(line.FindAllString(text, -1)) != 1 {
		t.Fatal("the template has another layout")
	}
	return aws.String(line.ReplaceAllString(text, "$0${1}AWS_ENDPOINT_URL=\""+s.endpoint+"\"\n"))
}

func (s *stack) parameters() (list []cfntypes.Parameter) {
	for name, value := range s.values {
		list = append(list, cfntypes.Parameter{ParameterKey: aws.String(name), ParameterValue: aws.String(value)})
	}
	return list
}

// await waits for the end of an operation, and compares the stack's status.
func (s *stack) await(t *testing.T, name string, want cfntypes.StackStatus) {
	t.Helper()
	for end := time.Now().Add(8 * time.Minute); ; time.Sleep(time.Second) {
		out, err := s.api.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: &name})
		if err != nil {
			t.Fatal(err)
		}
		got := out.Stacks[0].StackStatus
		if !strings.HasSuffix(string(got), "_IN_PROGRESS") || time.Now().After(end) {
			if got != want {
				t.Fatalf("the stack is %s, want %s:\n%s", got, want, strings.Join(s.events(t, name), "\n"))
			}
			return
		}
	}
}

// events returns the events of a stack, newest first.
func (s *stack) events(t *testing.T, name string) (lines []string) {
	t.Helper()
	out, err := s.api.DescribeStackEvents(t.Context(), &cloudformation.DescribeStackEventsInput{StackName: &name})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range out.StackEvents {
		lines = append(lines, strings.Join([]string{aws.ToString(e.LogicalResourceId), string(e.ResourceStatus), aws.ToString(e.ResourceStatusReason)}, " "))
	}
	return lines
}

// running returns the instances of the stack that run, and their images.
func (s *stack) running(t *testing.T, name string) (ids, images []string) {
	t.Helper()
	out, err := s.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []types.Filter{
		{Name: aws.String("tag:aws:cloudformation:stack-name"), Values: []string{name}}, {Name: aws.String("instance-state-name"), Values: []string{"pending", "running"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			ids, images = append(ids, *i.InstanceId), append(images, *i.ImageId)
		}
	}
	return ids, images
}

// copyOf returns a copy of an image in its region, as a newer build's.
func (s *stack) copyOf(t *testing.T, image string) string {
	t.Helper()
	out, err := s.ec2.CopyImage(t.Context(), &ec2.CopyImageInput{SourceImageId: &image, SourceRegion: aws.String("eu-central-1"), Name: aws.String("newer")})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		found, err := s.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Filters: []types.Filter{{Name: aws.String("image-id"), Values: []string{*out.ImageId}}}})
		if err != nil || time.Now().After(end) {
			t.Fatalf("waiting for %s: %v", *out.ImageId, err)
		}
		if len(found.Images) > 0 && found.Images[0].State == types.ImageStateAvailable {
			return *out.ImageId
		}
	}
}

// checkStack creates a stack of the template with an image, whose instance signals that it
// is ready. A newer image replaces the instance; one that does not mine is rolled back.
func checkStack(t *testing.T, session *rehearsal.Session, image string) {
	t.Helper()
	const name = "fleet"
	s := newStack(t, session)
	capabilities := []cfntypes.Capability{cfntypes.CapabilityCapabilityIam}
	if _, err := s.api.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: aws.String(name), TemplateBody: s.body(t, image), Parameters: s.parameters(), Capabilities: capabilities,
	}); err != nil {
		t.Fatal(err)
	}
	s.await(t, name, cfntypes.StackStatusCreateComplete)
	first, _ := s.running(t, name)
	if len(first) != 1 || !slices.ContainsFunc(s.events(t, name), func(line string) bool {
		return strings.HasPrefix(line, "OnDemandMiners ") && strings.Contains(line, "SUCCESS signal with UniqueId "+first[0])
	}) {
		t.Fatalf("instances %v, and the events\n%s", first, strings.Join(s.events(t, name), "\n"))
	}

	update := func(image string, want cfntypes.StackStatus) {
		if _, err := s.api.UpdateStack(t.Context(), &cloudformation.UpdateStackInput{
			StackName: aws.String(name), TemplateBody: s.body(t, image), Parameters: s.parameters(), Capabilities: capabilities,
		}); err != nil {
			t.Fatal(err)
		}
		s.await(t, name, want)
	}
	newer := s.copyOf(t, image)
	update(newer, cfntypes.StackStatusUpdateComplete)
	if ids, images := s.running(t, name); len(ids) != 1 || ids[0] == first[0] || images[0] != newer {
		t.Errorf("after the update, %v of %v run; want one instance of %s", ids, images, newer)
	}
	bare, err := s.ec2.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"099720109477"}, Filters: []types.Filter{{Name: aws.String("architecture"), Values: []string{"x86_64"}}}})
	if err != nil || len(bare.Images) == 0 {
		t.Fatalf("looking for an image without a miner: %v", err)
	}
	update(*bare.Images[0].ImageId, cfntypes.StackStatusUpdateRollbackComplete)
	if ids, images := s.running(t, name); len(ids) != 1 || images[0] != newer {
		t.Errorf("after the roll back, %v of %v run; want one instance of %s", ids, images, newer)
	}
	if _, err := s.api.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: aws.String(name)}); err != nil {
		t.Fatal(err)
	}
	if err := cloudformation.NewStackDeleteCompleteWaiter(s.api, func(o *cloudformation.StackDeleteCompleteWaiterOptions) { o.MinDelay = time.Second }).Wait(
		t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String(name)}, 4*time.Minute); err != nil {
		t.Fatalf("deleting the stack: %v\n%s", err, strings.Join(s.events(t, name), "\n"))
	}
}
