// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
)

// stackLab is a lab with a stack set in eu-central-1 whose stacks take 10 s each.
type stackLab struct {
	*lab
	api *cfn.Client
}

const stackTemplate = "Parameters: {Size: {Type: String, Default: '1'}}\nResources: {A: {Type: 'AWS::CloudFormation::WaitConditionHandle'}}\n"

func newStackLab(t *testing.T) *stackLab {
	l := &stackLab{lab: newLab(t, "instant,stack=10s")}
	l.api = cfn.NewFromConfig(l.server.AWSConfig("eu-central-1"), func(o *cfn.Options) { o.RetryMaxAttempts = 1 })
	must[*cfn.CreateStackSetOutput](l.lab)(l.api.CreateStackSet(t.Context(), &cfn.CreateStackSetInput{StackSetName: aws.String("s"), TemplateBody: aws.String(stackTemplate)}))
	return l
}

func (l *stackLab) create(prefer *types.StackSetOperationPreferences, accounts, regions []string) string {
	l.Helper()
	return *must[*cfn.CreateStackInstancesOutput](l.lab)(l.api.CreateStackInstances(l.Context(), &cfn.CreateStackInstancesInput{
		StackSetName: aws.String("s"), Accounts: accounts, Regions: regions, OperationPreferences: prefer,
	})).OperationId
}

// after advances the clock. It returns the status of an operation, and the first
// letters of the statuses of its results.
func (l *stackLab) after(d time.Duration, id string) string {
	l.Helper()
	l.clock.Advance(d)
	o := must[*cfn.DescribeStackSetOperationOutput](l.lab)(l.api.DescribeStackSetOperation(l.Context(), &cfn.DescribeStackSetOperationInput{StackSetName: aws.String("s"), OperationId: &id}))
	output := string(o.StackSetOperation.Status) + " "
	list := must[*cfn.ListStackSetOperationResultsOutput](l.lab)(l.api.ListStackSetOperationResults(l.Context(), &cfn.ListStackSetOperationResultsInput{StackSetName: aws.String("s"), OperationId: &id}))
	for _, r := range list.Summaries {
		output += string(r.Status[0])
	}
	return output
}

// Each preference determines the sequence of results: Pending, Running, Succeeded,
// Failed, Cancelled.
func TestStackSetOperations(t *testing.T) {
	four, two := []string{"100000000000", "200000000000", "300000000000", "400000000000"}, []string{"eu-west-1", "eu-west-2"}
	for name, row := range map[string]struct {
		prefer *types.StackSetOperationPreferences
		fault  Fault
		at     []string // after each 10 s
	}{
		"sequential": {nil, Fault{}, []string{"RUNNING RPPPPPPP", "RUNNING SRPPPPPP", "RUNNING SSRPPPPP", "RUNNING SSSRPPPP", "RUNNING SSSSRPPP"}},
		"parallel regions": {&types.StackSetOperationPreferences{RegionConcurrencyType: "PARALLEL"}, Fault{},
			[]string{"RUNNING RPPPRPPP", "RUNNING SRPPSRPP", "RUNNING SSRPSSRP", "RUNNING SSSRSSSR", "SUCCEEDED SSSSSSSS"}},
		"region order": {&types.StackSetOperationPreferences{RegionOrder: []string{"eu-west-2", "eu-west-1"}}, Fault{StackRegion: "eu-west-2", State: "failed"},
			[]string{"RUNNING RPPPPPPP", "FAILED FCCCCCCC"}},
		"concurrency limited by tolerance": {&types.StackSetOperationPreferences{MaxConcurrentCount: aws.Int32(4), FailureToleranceCount: aws.Int32(1)}, Fault{},
			[]string{"RUNNING RRPPPPPP", "RUNNING SSRRPPPP", "RUNNING SSSSRRPP", "RUNNING SSSSSSRR", "SUCCEEDED SSSSSSSS"}},
		"lower concurrency after a failure": {&types.StackSetOperationPreferences{MaxConcurrentCount: aws.Int32(4), FailureToleranceCount: aws.Int32(1)},
			Fault{StackRegion: "eu-west-1", StackAccount: "100000000000", State: "failed"},
			[]string{"RUNNING RRPPPPPP", "RUNNING FSRPPPPP", "RUNNING FSSRPPPP", "RUNNING FSSSRRPP", "RUNNING FSSSSSRR", "SUCCEEDED FSSSSSSS"}},
		"soft": {&types.StackSetOperationPreferences{MaxConcurrentPercentage: aws.Int32(75), ConcurrencyMode: "SOFT_FAILURE_TOLERANCE"},
			Fault{StackRegion: "eu-west-1", State: "failed"}, []string{"RUNNING RRRPPPPP", "FAILED FFFCCCCC"}},
		"failing region in parallel with another": {&types.StackSetOperationPreferences{RegionConcurrencyType: "PARALLEL"}, Fault{StackRegion: "eu-west-1", State: "failed"},
			[]string{"RUNNING RPPPRPPP", "RUNNING FCCCSRPP", "RUNNING FCCCSSRP", "RUNNING FCCCSSSR", "FAILED FCCCSSSS"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newStackLab(t)
			if row.fault.State != "" {
				l.server.AddFault(row.fault)
			}
			id := l.create(row.prefer, four, two)
			for n, want := range row.at {
				step := 10 * time.Second
				if n == 0 {
					step = 0
				}
				if got := l.after(step, id); got != want {
					t.Errorf("after %d s: got %s, want %s", 10*n, got, want)
				}
			}
		})
	}
}

// An update with equal template and parameters does not change the stacks. Another
// template changes only the stacks of the operation.
func TestUnchangedStacks(t *testing.T) {
	l := newStackLab(t)
	l.after(40*time.Second, l.create(nil, []string{"100000000000"}, []string{"eu-west-1", "eu-west-2"}))
	before := l.server.Stacks("eu-central-1", "s")
	update := func(body string, parameters []types.Parameter, regions ...string) string {
		return *must[*cfn.UpdateStackSetOutput](l.lab)(l.api.UpdateStackSet(t.Context(), &cfn.UpdateStackSetInput{
			StackSetName: aws.String("s"), TemplateBody: &body, Accounts: []string{"100000000000"}, Regions: regions, Parameters: parameters,
		})).OperationId
	}
	if got := l.after(40*time.Second, update(stackTemplate, nil, "eu-west-1", "eu-west-2")); got != "SUCCEEDED SS" {
		t.Error(got)
	}
	for i, now := range l.server.Stacks("eu-central-1", "s") {
		if !now.Changed.Equal(before[i].Changed) || now.Status != "CURRENT" {
			t.Errorf("before %+v, after %+v", before[i], now)
		}
	}
	l.after(40*time.Second, update(stackTemplate, []types.Parameter{{ParameterKey: aws.String("Size"), ParameterValue: aws.String("2")}}, "eu-west-2"))
	now := l.server.Stacks("eu-central-1", "s")
	if !now[0].Changed.Equal(before[0].Changed) || now[0].Status != "OUTDATED" || !now[1].Changed.After(before[1].Changed) || now[1].Status != "CURRENT" || now[1].Parameters["Size"] != "2" {
		t.Errorf("before %+v, after %+v", before, now)
	}
}

// Faults, call counts, policies and the inventory also apply to stack sets.
func TestStackSetFaultsAndPolicy(t *testing.T) {
	l := newStackLab(t)
	id := l.create(nil, []string{"100000000000"}, []string{"eu-west-1"})
	if all := l.server.Inventory()["eu-central-1"]; len(all) != 1 || all[0].Kind != "stack-set" || all[0].State != "RUNNING" || !all[0].Leaked() {
		t.Errorf("during an operation: got inventory %+v", all)
	}
	l.after(10*time.Second, id)
	if all := l.server.Inventory()["eu-central-1"]; len(all) != 1 || all[0].State != "ACTIVE" || all[0].Leaked() {
		t.Errorf("after the operation: got inventory %+v", all)
	}
	l.server.AddFault(Fault{Action: "DescribeStackSet", Where: map[string]string{"StackSetName": "s"}, Nth: 1, Code: "Throttling", Status: 400})
	describe := func() error {
		_, err := l.api.DescribeStackSet(t.Context(), &cfn.DescribeStackSetInput{StackSetName: aws.String("s")})
		return err
	}
	l.wantCode(describe(), "Throttling")
	must[struct{}](l.lab)(struct{}{}, describe())
	if n := l.server.Calls()["eu-central-1"]["DescribeStackSet"]; n != 2 {
		t.Errorf("got %d calls", n)
	}
	only, err := policy.Parse([]byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["cloudformation:ListStackSets", "cloudwatch:ListMetrics", "cloudformation:CreateStackSet"], "Resource": "*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	l.server.caller.Policy = only
	err = describe()
	l.wantCode(err, "AccessDenied")
	if !strings.Contains(err.Error(), "cloudformation:DescribeStackSet") {
		t.Error(err)
	}
	_, err = l.api.CreateStackSet(t.Context(), &cfn.CreateStackSetInput{
		StackSetName: aws.String("t"), TemplateBody: aws.String(stackTemplate), AdministrationRoleARN: aws.String("arn:aws:iam::111122223333:role/x"),
	})
	if l.wantCode(err, "AccessDenied"); !strings.Contains(err.Error(), "iam:PassRole") {
		t.Error(err)
	}
	if _, err = l.server.serve(scope{region: "eu-central-1", service: "monitoring"}, "ListMetrics", nil); err != nil {
		t.Error(err)
	}
	if _, err = l.server.serve(scope{region: "eu-central-1", service: "monitoring"}, "PutMetricData", nil); err == nil || !strings.Contains(err.Error(), "cloudwatch:PutMetricData") {
		t.Error(err)
	}
}
