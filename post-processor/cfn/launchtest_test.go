// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
	"github.com/eth-mining/packer-plugin-ethminer/internal/verifyami"
)

// taggedEC2 is fakeEC2 whose images have the tag of a launch test.
type taggedEC2 struct {
	fakeEC2
	tag string
}

func (e taggedEC2) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput, o ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error) {
	out, err := e.fakeEC2.DescribeImages(ctx, in, o...)
	if err == nil && e.tag != "" {
		out.Images[0].Tags = []ec2types.Tag{{Key: aws.String(tags.LaunchTest), Value: &e.tag}}
	}
	return out, err
}

// TestLaunchTest: images that failed are neither written nor published, without an error,
// as the user has chosen to keep them; require_launch_test is an error without a test.
func TestLaunchTest(t *testing.T) {
	failed := []artifact.LaunchTest{{Region: "us-east-1", Image: amiA, Verdict: artifact.TestFailed, Reason: "service: it ended"}}
	passed := []artifact.LaunchTest{{Region: "us-east-1", Image: amiA, Verdict: artifact.TestPassed}}
	notMade := []artifact.LaunchTest{{Region: "us-east-1", Image: amiA, Verdict: artifact.TestNotMade, Reason: "no capacity"}}
	for _, tt := range []struct {
		name     string
		report   artifact.Report
		required bool
		writes   bool
		err      string // part of the error
		says     string
		tag      string // of the image
	}{
		{name: "no test", writes: true},
		{name: "no test, but required", required: true, err: "require_launch_test: the build made no launch test; add a launch_test block"},
		{name: "passed", report: artifact.Report{LaunchTests: passed}, required: true, writes: true, tag: passed[0].Tag()},
		{name: "passed, but another image failed", report: artifact.Report{LaunchTests: passed}, tag: failed[0].Tag(), err: "its launch test has failed"},
		{name: "passed, but the image has no tag", report: artifact.Report{LaunchTests: passed}, required: true, err: "no launch test is known (require_launch_test); test it: packer-plugin-ethminer test-image"},
		{name: "not made", report: artifact.Report{LaunchTests: notMade}, writes: true},
		{name: "not made, but required", report: artifact.Report{LaunchTests: notMade}, required: true, err: "the launch test of " + amiA + " in us-east-1 was not made: no capacity"},
		{name: "failed, and kept", report: artifact.Report{LaunchTests: failed, Unreleased: true}, says: "Neither writing nor publishing"},
		{name: "one of two failed", report: artifact.Report{LaunchTests: append(failed, passed...)}, says: "failed: service: it ended"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := tt.report.JSON()
			if err != nil {
				t.Fatal(err)
			}
			s := newScene(t, template, map[string]any{"require_launch_test": tt.required, "verify_amis": true})
			s.describer = func(context.Context, string) (verifyami.API, error) { return taggedEC2{tag: tt.tag}, nil }
			from := &packersdk.MockArtifact{BuilderIdValue: artifact.BuilderID, IdValue: "us-east-1:" + amiB, StateValues: map[string]any{artifact.StateBuild: text}}
			before, err := os.ReadFile(s.config.Target())
			if err != nil {
				t.Fatal(err)
			}
			out, err := s.run(t, from)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("got error %v, want %q", err, tt.err)
			}
			after, readErr := os.ReadFile(s.config.Target())
			if readErr != nil {
				t.Fatal(readErr)
			}
			if (string(before) != string(after)) != tt.writes {
				t.Errorf("written: %v, want %v", string(before) != string(after), tt.writes)
			}
			if !strings.Contains(s.said.String(), tt.says) {
				t.Errorf("the output %q lacks %q", s.said.String(), tt.says)
			}
			if err == nil && !tt.writes {
				if text := out.String(); len(out.Files()) > 0 || !strings.Contains(text, "not written (a launch test has failed)") {
					t.Errorf("the artifact has the files %v and is %q", out.Files(), text)
				}
			}
		})
	}
}
