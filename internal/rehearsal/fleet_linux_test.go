// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// The instance of a stack's group is a Linux system, whose user data signals the stack
// with the credentials from the metadata service.
func TestStackOfMachines(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: requires root: a machine is an overlay of the root file system")
	}
	host, err := instance.NewHost(t.TempDir(), instance.HostBase)
	if err != nil {
		t.Fatal(err)
	}
	server := New(Config{Host: host, Pace: pace.Instant, Log: t.Logf})
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	web := httptest.NewServer(forLoopback(server))
	defer web.Close()
	l := &lab{T: t, server: server}
	l.ec2 = l.in("eu-central-1")
	api := cfn.NewFromConfig(server.AWSConfig("eu-central-1"))
	endpoint := strings.Replace(web.URL, "127.0.0.1", instance.Gateway, 1)
	must[*cfn.CreateStackOutput](l)(api.CreateStack(t.Context(), &cfn.CreateStackInput{
		StackName: aws.String("fleet"), TemplateBody: aws.String(signalTemplate), Capabilities: []cfntypes.Capability{"CAPABILITY_IAM"},
		Parameters: parameters(map[string]string{"Image": l.source(), "Endpoint": endpoint}),
	}))
	status := ""
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		out := must[*cfn.DescribeStacksOutput](l)(api.DescribeStacks(t.Context(), &cfn.DescribeStacksInput{StackName: aws.String("fleet")}))
		if status = string(out.Stacks[0].StackStatus); status != "CREATE_IN_PROGRESS" {
			break
		}
	}
	if status != "CREATE_COMPLETE" {
		t.Fatalf("got %s, want CREATE_COMPLETE", status)
	}
	l.becomes("all requests of the user data", func() bool { return server.Calls()["eu-central-1"]["SetInstanceHealth"] == 1 })
	body, err := server.serve(scope{region: "eu-central-1", service: "monitoring"}, "ListMetrics", query.Params{"Namespace": "Mining"})
	if text, _ := query.Encode(body); err != nil || !strings.Contains(string(text), "HashRate") {
		t.Errorf("got metrics %s, %v", text, err)
	}
	must[*cfn.DeleteStackOutput](l)(api.DeleteStack(t.Context(), &cfn.DeleteStackInput{StackName: aws.String("fleet")}))
	l.becomes("no resources", func() bool { return len(server.Inventory()) == 0 })
}
