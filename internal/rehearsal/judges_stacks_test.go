// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// templates is an S3 with some templates, by the last part of their keys.
type templates map[string]string

func (t templates) Fetch(url string) ([]byte, error) {
	body, ok := t[url[strings.LastIndexByte(url, '/')+1:]]
	if !ok {
		return nil, errors.New("The specified key does not exist.") //nolint:revive,staticcheck // as S3 says it
	}
	return []byte(body), nil
}

func TestBoto3OfStacks(t *testing.T) {
	fetched := "Description: fetched\nResources: {A: {Type: 'AWS::CloudFormation::WaitConditionHandle'}}\n"
	server := judgedByModels(t, "testdata/judge_stacks.py", Config{
		Pace:      pace.Profile{Stack: 50 * time.Millisecond},
		Templates: templates{"one": fetched, "large": fetched + strings.Repeat("#", 1<<20)},
		Faults:    []Fault{{StackAccount: "333333333333", State: "failed"}},
	})
	// What the judge could not delete: stacks of an account that is not enabled.
	if left := server.Inventory(); len(left) != 1 || len(left["us-east-1"]) != 1 || left["us-east-1"][0].Leaked() || left["us-east-1"][0].Name != "mining" {
		t.Errorf("left behind: %v", left)
	}
}

// The AWS CLI, and the query protocol by hand as the images' scripts speak it.
func TestAWSCLIOfStacks(t *testing.T) {
	needs(t, "aws", "--version")
	needs(t, "curl", "--version")
	_, s, env := judged(t, Config{Pace: pace.Instant})
	aws := func(args ...string) string {
		return judge(t, env, "aws", append(args, "--endpoint-url", s.Endpoint, "--output", "text")...)
	}
	aws("cloudformation", "create-stack-set", "--stack-set-name", "mining", "--template-body", `{"Resources": {"A": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}`)
	aws("cloudformation", "create-stack-instances", "--stack-set-name", "mining", "--accounts", "111111111111", "--regions", "eu-west-1", "eu-west-2")
	if said := aws("cloudformation", "list-stack-instances", "--stack-set-name", "mining", "--query", "Summaries[].Status"); said != "CURRENT\tCURRENT\n" {
		t.Errorf("the CLI says %q", said)
	}
	judge(t, env, "curl", "-fsS", "--aws-sigv4", "aws:amz:eu-central-1:monitoring", "-u", s.AccessKey+":"+s.SecretKey, s.Endpoint,
		"--data-urlencode", "Action=PutMetricData", "--data-urlencode", "Version=2010-08-01", "--data-urlencode", "Namespace=Mining",
		"--data-urlencode", "MetricData.member.1.MetricName=HashRate", "--data-urlencode", "MetricData.member.1.Value=42", "--data-urlencode", "MetricData.member.1.Unit=Count/Second",
		"--data-urlencode", "MetricData.member.1.Dimensions.member.1.Name=InstanceId", "--data-urlencode", "MetricData.member.1.Dimensions.member.1.Value=i-1")
	if said := aws("cloudwatch", "list-metrics", "--query", "Metrics[].[Namespace,MetricName,Dimensions[0].Value]"); said != "Mining\tHashRate\ti-1\n" {
		t.Errorf("the CLI says %q", said)
	}
	for _, action := range []string{"ListMetrics", "GetMetricStatistics"} { // in XML too
		said := judge(t, env, "curl", "-fsS", "--aws-sigv4", "aws:amz:eu-central-1:monitoring", "-u", s.AccessKey+":"+s.SecretKey, s.Endpoint,
			"-d", "Action="+action+"&Version=2010-08-01&Namespace=Mining&MetricName=HashRate&Dimensions.member.1.Name=InstanceId&Dimensions.member.1.Value=i-1"+
				"&StartTime=2000-01-01T00:00:00Z&EndTime=2200-01-01T00:00:00Z&Period=60&Statistics.member.1=Sum")
		if want := map[string]string{"ListMetrics": "<member><Namespace>Mining</Namespace>", "GetMetricStatistics": "<Sum>42</Sum>"}[action]; !strings.Contains(said, want) {
			t.Errorf("%s: %s", action, said)
		}
	}
}
