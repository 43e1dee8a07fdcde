// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// fleetSet is a stack set of fleets in three regions of two accounts.
type fleetSet struct {
	*rolloutLab
	accounts, regions []string
	signalled         map[string]bool
}

// client returns a client of EC2 in another account.
func (f *fleetSet) in(account, region string) *sdk.Client {
	f.server.mu.Lock()
	keys, ok := f.server.instanceKeys[account]
	if !ok {
		f.server.mu.Unlock()
		keys = f.server.openRole(account, "arn:aws:iam::"+account+":role/test", "test")
		f.server.mu.Lock()
		f.server.instanceKeys[account] = keys
	}
	f.server.mu.Unlock()
	cfg := f.server.AWSConfig(region)
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: keys.AccessKey, SecretAccessKey: keys.SecretKey, SessionToken: keys.Token}, nil
	})
	return sdk.NewFromConfig(cfg)
}

// fleet returns the number of running instances of a stack by type.
func (f *fleetSet) fleet(account, region string) map[string]int {
	f.Helper()
	out := must[*sdk.DescribeInstancesOutput](f.lab)(f.in(account, region).DescribeInstances(f.Context(), &sdk.DescribeInstancesInput{
		Filters: []ec2types.Filter{{Name: aws.String("instance-state-name"), Values: []string{"running"}}},
	}))
	all := map[string]int{}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			all[string(i.InstanceType)]++
			f.signal(account, region, i)
		}
	}
	return all
}

// signal sends the signal of an instance, once, except for those of the type that never
// becomes healthy.
func (f *fleetSet) signal(account, region string, i ec2types.Instance) {
	if f.signalled[*i.InstanceId] || region == "eu-west-2" && i.InstanceType == "g5.xlarge" {
		return
	}
	for _, tag := range i.Tags {
		if *tag.Key == "aws:cloudformation:stack-id" {
			f.signalled[*i.InstanceId] = true
			p := query.Params{"StackName": *tag.Value, "LogicalResourceId": "Miners", "UniqueId": *i.InstanceId, "Status": "SUCCESS"}
			_ = f.server.account(account).call("cloudformation", region, "SignalResource", p, nil) // refused after the change
		}
	}
}

// run runs an operation to its end. It returns its status and those of its results by
// region.
func (f *fleetSet) run(id *string) (string, map[string]string) {
	f.Helper()
	for range 400 {
		f.clock.Advance(5 * time.Second)
		for _, account := range f.accounts {
			for _, region := range f.regions {
				f.fleet(account, region)
			}
		}
		o := must[*cfn.DescribeStackSetOperationOutput](f.lab)(f.cfn.DescribeStackSetOperation(f.Context(), &cfn.DescribeStackSetOperationInput{StackSetName: aws.String("fleet"), OperationId: id}))
		if o.StackSetOperation.Status == types.StackSetOperationStatusRunning {
			continue
		}
		results := map[string]string{}
		list := must[*cfn.ListStackSetOperationResultsOutput](f.lab)(f.cfn.ListStackSetOperationResults(f.Context(), &cfn.ListStackSetOperationResultsInput{StackSetName: aws.String("fleet"), OperationId: id}))
		for _, r := range list.Summaries {
			results[*r.Region] += string(r.Status[0])
		}
		return string(o.StackSetOperation.Status), results
	}
	f.Fatal("the operation did not end")
	return "", nil
}

// A stack set rolls a new type out to three regions of two accounts. One region fails: its
// stacks are rolled back, and the failure tolerance decides about the others.
func TestStackSetRollsOut(t *testing.T) {
	for name, test := range map[string]struct {
		tolerance int32
		status    string
		results   string
		newType   map[string]string // type of each region after the update
	}{
		"tolerated": {2, "SUCCEEDED", "map[eu-central-1:SS eu-west-1:SS eu-west-2:FF]",
			map[string]string{"eu-west-1": "g5.xlarge", "eu-west-2": "g4dn.xlarge", "eu-central-1": "g5.xlarge"}},
		"not tolerated": {0, "FAILED", "map[eu-central-1:CC eu-west-1:SS eu-west-2:FC]",
			map[string]string{"eu-west-1": "g5.xlarge", "eu-west-2": "g4dn.xlarge", "eu-central-1": "g4dn.xlarge"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fleetSet{newRolloutLab(t), []string{"222222222222", "333333333333"}, []string{"eu-west-1", "eu-west-2", "eu-central-1"}, map[string]bool{}}
			image := f.source()
			// Each region has an image of its own: the map of the template names it.
			body := strings.Replace(fleetTemplate, "!Ref Image", "!FindInMap [Images, !Ref 'AWS::Region', AMI]", 1) + "Mappings:\n  Images:\n"
			for _, region := range f.regions {
				found := must[*sdk.DescribeImagesOutput](f.lab)(f.lab.in(region).DescribeImages(t.Context(), &sdk.DescribeImagesInput{
					Owners: []string{"099720109477"}, Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{"*noble*amd64*"}}},
				}))
				body += "    " + region + ": {AMI: " + *found.Images[0].ImageId + "}\n"
			}
			values := parameters(map[string]string{"Image": image, "Size": "2", "Count": "1"})
			must[*cfn.CreateStackSetOutput](f.lab)(f.cfn.CreateStackSet(t.Context(), &cfn.CreateStackSetInput{StackSetName: aws.String("fleet"), TemplateBody: &body, Parameters: values}))
			prefer := &types.StackSetOperationPreferences{RegionOrder: f.regions, FailureToleranceCount: &test.tolerance, MaxConcurrentCount: aws.Int32(1)}
			made := must[*cfn.CreateStackInstancesOutput](f.lab)(f.cfn.CreateStackInstances(t.Context(), &cfn.CreateStackInstancesInput{
				StackSetName: aws.String("fleet"), Accounts: f.accounts, Regions: f.regions, OperationPreferences: prefer,
			}))
			status, results := f.run(made.OperationId)
			f.want("creation", status, "SUCCEEDED")
			f.want("creation", results, "map[eu-central-1:SS eu-west-1:SS eu-west-2:SS]")

			// One stack has a size of its own.
			over := must[*cfn.UpdateStackInstancesOutput](f.lab)(f.cfn.UpdateStackInstances(t.Context(), &cfn.UpdateStackInstancesInput{
				StackSetName: aws.String("fleet"), Accounts: f.accounts[:1], Regions: f.regions[:1], ParameterOverrides: parameters(map[string]string{"Size": "4"}),
			}))
			status, _ = f.run(over.OperationId)
			f.want("override", status, "SUCCEEDED")
			f.clock.Advance(time.Minute)
			f.want("instances of the override", f.fleet(f.accounts[0], f.regions[0]), "map[g4dn.xlarge:4]")
			f.want("instances of the other account", f.fleet(f.accounts[1], f.regions[0]), "map[g4dn.xlarge:2]")

			rolled := strings.Replace(body, "MinInstancesInService: 3", "MinInstancesInService: 1", 1)
			rolled = strings.ReplaceAll(rolled, "g4dn.xlarge", "g5.xlarge")
			update := must[*cfn.UpdateStackSetOutput](f.lab)(f.cfn.UpdateStackSet(t.Context(), &cfn.UpdateStackSetInput{
				StackSetName: aws.String("fleet"), TemplateBody: &rolled, Parameters: parameters(map[string]string{"Image": image, "Size": "2", "Count": "1", "Type": "g5.xlarge"}), OperationPreferences: prefer,
			}))
			status, results = f.run(update.OperationId)
			f.want("update", status, test.status)
			f.want("update", results, test.results)
			f.clock.Advance(time.Minute)
			for region, kind := range test.newType {
				for n, account := range f.accounts {
					size := 2
					if n == 0 && region == f.regions[0] {
						size = 4
					}
					f.want("instances of "+account+" in "+region, f.fleet(account, region), map[string]int{kind: size})
				}
			}
			for region, list := range f.server.account(f.accounts[0]).stacks.Inventory() {
				want := map[string]string{"eu-west-1": "UPDATE_COMPLETE", "eu-west-2": "UPDATE_ROLLBACK_COMPLETE", "eu-central-1": "UPDATE_COMPLETE"}[region]
				if region == "eu-central-1" && test.status == "FAILED" {
					want = "CREATE_COMPLETE"
				}
				f.want("stack in "+region, list[0].Status, want)
			}
			why := must[*cfn.DescribeStackInstanceOutput](f.lab)(f.cfn.DescribeStackInstance(t.Context(), &cfn.DescribeStackInstanceInput{
				StackSetName: aws.String("fleet"), StackInstanceAccount: &f.accounts[0], StackInstanceRegion: aws.String("eu-west-2"),
			})).StackInstance
			if why.Status != "OUTDATED" || !strings.Contains(aws.ToString(why.StatusReason), "ResourceLogicalId:Miners") || !strings.Contains(*why.StatusReason, "Unable to satisfy 100% MinSuccessfulInstancesPercent requirement") {
				t.Errorf("got %s: %s", why.Status, aws.ToString(why.StatusReason))
			}

			gone := must[*cfn.DeleteStackInstancesOutput](f.lab)(f.cfn.DeleteStackInstances(t.Context(), &cfn.DeleteStackInstancesInput{
				StackSetName: aws.String("fleet"), Accounts: f.accounts, Regions: f.regions, RetainStacks: aws.Bool(false),
			}))
			status, _ = f.run(gone.OperationId)
			f.want("deletion", status, "SUCCEEDED")
			for _, account := range f.accounts {
				if left := f.server.InventoryOf(account); len(left) > 0 {
					t.Errorf("account %s has %v", account, left)
				}
			}
		})
	}
}

// A stack whose creation was rolled back is created by the next operation.
func TestStackSetCreatesAgain(t *testing.T) {
	f := &fleetSet{newRolloutLab(t), []string{"222222222222"}, []string{"eu-west-2"}, map[string]bool{}}
	image := must[*sdk.DescribeImagesOutput](f.lab)(f.lab.in("eu-west-2").DescribeImages(t.Context(), &sdk.DescribeImagesInput{
		Owners: []string{"099720109477"}, Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{"*noble*amd64*"}}},
	})).Images[0].ImageId
	body := fleetTemplate
	must[*cfn.CreateStackSetOutput](f.lab)(f.cfn.CreateStackSet(t.Context(), &cfn.CreateStackSetInput{
		StackSetName: aws.String("fleet"), TemplateBody: &body, Parameters: parameters(map[string]string{"Image": *image, "Type": "g5.xlarge", "Count": "1"}), // never signals
	}))
	made := must[*cfn.CreateStackInstancesOutput](f.lab)(f.cfn.CreateStackInstances(t.Context(), &cfn.CreateStackInstancesInput{StackSetName: aws.String("fleet"), Accounts: f.accounts, Regions: f.regions}))
	status, _ := f.run(made.OperationId)
	f.want("creation", status, "FAILED")
	f.want("stack", f.server.account(f.accounts[0]).stacks.Inventory()["eu-west-2"][0].Status, "ROLLBACK_COMPLETE")
	again := must[*cfn.UpdateStackInstancesOutput](f.lab)(f.cfn.UpdateStackInstances(t.Context(), &cfn.UpdateStackInstancesInput{
		StackSetName: aws.String("fleet"), Accounts: f.accounts, Regions: f.regions, ParameterOverrides: parameters(map[string]string{"Type": "g4dn.xlarge"}),
	}))
	status, _ = f.run(again.OperationId)
	f.want("second creation", status, "SUCCEEDED")
	list := f.server.account(f.accounts[0]).stacks.Inventory()["eu-west-2"]
	f.want("stacks", len(list), 1)
	f.want("stack", list[0].Status, "CREATE_COMPLETE")
}
