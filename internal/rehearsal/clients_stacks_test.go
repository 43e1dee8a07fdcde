// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// templates is an S3 with some templates by the last segment of their keys.
type templates map[string]string

func (t templates) Fetch(url string) ([]byte, error) {
	body, ok := t[url[strings.LastIndexByte(url, '/')+1:]]
	if !ok {
		return nil, errors.New("The specified key does not exist.") //nolint:revive,staticcheck // S3's message
	}
	return []byte(body), nil
}

func TestBoto3StackSets(t *testing.T) {
	fetched := "Description: fetched\nResources: {A: {Type: 'AWS::CloudFormation::WaitConditionHandle'}}\n"
	server := checkResponses(t, "testdata/client_stacks.py", Config{
		Pace:      pace.Profile{Stack: 50 * time.Millisecond},
		Templates: templates{"one": fetched, "large": fetched + strings.Repeat("#", 1<<20)},
		Faults:    []Fault{{StackAccount: "333333333333", State: "failed"}},
	})
	// The script cannot delete the stacks of an account that is not enabled.
	if left := server.Inventory(); len(left) != 1 || len(left["us-east-1"]) != 1 || left["us-east-1"][0].Leaked() || left["us-east-1"][0].Name != "mining" {
		t.Errorf("resources left: %v", left)
	}
}

// Tests the AWS CLI, the metrics helper of images, and the query protocol through curl.
func TestAWSCLIStackSets(t *testing.T) {
	requireProgram(t, "aws", "--version")
	requireProgram(t, "curl", "--version")
	_, s, env := startServer(t, Config{Pace: pace.Instant})
	aws := func(args ...string) string {
		return runClient(t, env, "aws", append(args, "--endpoint-url", s.Endpoint, "--output", "text")...)
	}
	aws("cloudformation", "create-stack-set", "--stack-set-name", "mining", "--template-body", `{"Resources": {"A": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}}`)
	aws("cloudformation", "create-stack-instances", "--stack-set-name", "mining", "--accounts", "111111111111", "--regions", "eu-west-1", "eu-west-2")
	if output := aws("cloudformation", "list-stack-instances", "--stack-set-name", "mining", "--query", "Summaries[].Status"); output != "CURRENT\tCURRENT\n" {
		t.Errorf("the CLI printed %q", output)
	}
	metricsHelper(t, s, env)
	if output := aws("cloudwatch", "list-metrics", "--query", "Metrics[].[Namespace,MetricName,Dimensions[0].Value]"); output != "Mining\tHashRate\tethminer\n" {
		t.Errorf("the CLI printed %q", output)
	}
	for _, action := range []string{"ListMetrics", "GetMetricStatistics"} { // XML responses
		output := runClient(t, env, "curl", "-fsS", "--aws-sigv4", "aws:amz:eu-central-1:monitoring", "-u", s.AccessKey+":"+s.SecretKey, s.Endpoint,
			"-d", "Action="+action+"&Version=2010-08-01&Namespace=Mining&MetricName=HashRate&Dimensions.member.1.Name=Fleet&Dimensions.member.1.Value=ethminer"+
				"&StartTime=2000-01-01T00:00:00Z&EndTime=2200-01-01T00:00:00Z&Period=60&Statistics.member.1=Sum")
		if want := map[string]string{"ListMetrics": "<member><Namespace>Mining</Namespace>", "GetMetricStatistics": "<Sum>42</Sum>"}[action]; !strings.Contains(output, want) {
			t.Errorf("%s: %s", action, output)
		}
	}
}

// The AWS CLI creates a stack, waits for it, and sends its signal.
func TestAWSCLIStack(t *testing.T) {
	requireProgram(t, "aws", "--version")
	_, s, env := startServer(t, Config{Pace: pace.Instant})
	aws := func(args ...string) string {
		return runClient(t, env, "aws", append(args, "--endpoint-url", s.Endpoint, "--output", "text")...)
	}
	image := strings.TrimSpace(aws("ec2", "describe-images", "--owners", "099720109477", "--filters", "Name=name,Values=*noble*amd64*", "--query", "Images[0].ImageId"))
	file := filepath.Join(t.TempDir(), "fleet.yaml")
	if err := os.WriteFile(file, []byte(fleetTemplate), 0o600); err != nil {
		t.Fatal(err)
	}
	aws("cloudformation", "create-stack", "--stack-name", "fleet", "--template-body", "file://"+file, "--parameters", "ParameterKey=Image,ParameterValue="+image, "ParameterKey=Size,ParameterValue=2", "ParameterKey=Count,ParameterValue=1")
	ids := strings.Fields(aws("autoscaling", "describe-auto-scaling-groups", "--query", "AutoScalingGroups[0].Instances[].InstanceId"))
	if len(ids) != 2 {
		t.Fatalf("got instances %v", ids)
	}
	aws("cloudformation", "signal-resource", "--stack-name", "fleet", "--logical-resource-id", "Miners", "--unique-id", ids[0], "--status", "SUCCESS")
	aws("cloudformation", "wait", "stack-create-complete", "--stack-name", "fleet")
	aws("cloudformation", "delete-stack", "--stack-name", "fleet")
	aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", "fleet")
	if output := aws("ec2", "describe-instances", "--filters", "Name=instance-state-name,Values=running", "--query", "Reservations[].Instances[].InstanceId"); strings.TrimSpace(output) != "" {
		t.Errorf("instances left: %s", output)
	}
}

// metricsHelper runs the metrics helper of images against a simulated metadata service
// of the instance i-1 and a log of ethminer.
func metricsHelper(t *testing.T, s *Session, env []string) {
	t.Helper()
	imds := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, map[string]string{
			"/latest/api/token": "token", "/latest/meta-data/placement/region": "eu-central-1", "/latest/meta-data/iam/security-credentials/": "role",
			"/latest/meta-data/instance-id": "i-1", "/latest/meta-data/services/domain": "amazonaws.com",
			"/latest/meta-data/iam/security-credentials/role": fmt.Sprintf("{\n \"AccessKeyId\" : %q,\n \"SecretAccessKey\" : %q,\n \"Token\" : \"t\"\n}", s.AccessKey, s.SecretKey),
		}[r.URL.Path])
	}))
	defer imds.Close()
	machine := t.TempDir()
	for name, text := range map[string]string{
		"class/dmi/id/sys_vendor": "Amazon EC2\n",
		"bin/journalctl":          "#!/bin/sh\necho ' m 20:15:33 miner 0:01 A0 42.00 h - cl0 42.00'\n",
	} {
		file := filepath.Join(machine, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env = append(slices.Clone(env), "PATH="+filepath.Join(machine, "bin")+":"+os.Getenv("PATH"), "SYSFS="+machine, "IMDS="+imds.URL, "AWS_ENDPOINT_URL="+s.Endpoint, "ETHMINER_METRICS=Mining")
	runClient(t, env, "sh", "../../provisioner/gpu/scripts/image/metrics")
}
