// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// fail lets the next stacks of a region and an account fail.
func (w *world) fail(region, account string, times int) {
	w.server.AddFault(rehearsal.Fault{StackRegion: region, StackAccount: account, State: "failed", Times: times})
}

var mining = aws.String("mining")

// cloudformation returns a client as that of aside.
func (w *world) cloudformation() *cloudformation.Client { return w.aside().CloudFormation("us-east-1") }

// operations returns the operations since the last call, with their regions.
func (w *world) operations() string {
	w.Helper()
	var all []string
	api := w.cloudformation()
	out, err := api.ListStackSetOperations(w.Context(), &cloudformation.ListStackSetOperationsInput{StackSetName: mining})
	w.must(err)
	newest := ""
	for _, o := range out.Summaries {
		if newest == "" {
			newest = *o.OperationId
		}
		if *o.OperationId == w.seenID {
			break
		}
		results, err := api.ListStackSetOperationResults(w.Context(), &cloudformation.ListStackSetOperationResultsInput{StackSetName: mining, OperationId: o.OperationId})
		w.must(err)
		var regions []string
		for _, r := range results.Summaries {
			regions = append(regions, *r.Region)
		}
		slices.Sort(regions)
		all = append(all, string(o.Action)+" "+strings.Join(slices.Compact(regions), ","))
	}
	w.seenID = newest
	slices.Reverse(all)
	return strings.Join(all, "; ")
}

func (w *world) set() *types.StackSet {
	w.Helper()
	out, err := w.cloudformation().DescribeStackSet(w.Context(), &cloudformation.DescribeStackSetInput{StackSetName: mining})
	w.must(err)
	return out.StackSet
}

func (w *world) template() string { w.Helper(); return *w.set().TemplateBody }

// instances returns the status of each instance, by region and account.
func (w *world) instances() map[string]types.StackInstanceStatus {
	w.Helper()
	all := map[string]types.StackInstanceStatus{}
	out, err := w.cloudformation().ListStackInstances(w.Context(), &cloudformation.ListStackInstancesInput{StackSetName: mining})
	w.must(err)
	for _, i := range out.Summaries {
		all[*i.Region+" "+*i.Account] = i.Status
	}
	return all
}

// wantCurrent reports the instances that are not current.
func (w *world) wantCurrent(count int) {
	w.Helper()
	all := w.instances()
	for name, status := range all {
		if status != types.StackInstanceStatusCurrent {
			w.Errorf("%s is %s", name, status)
		}
	}
	if len(all) != count {
		w.Errorf("%d instances, want %d", len(all), count)
	}
}

// other starts an operation of another user on existing stacks.
func (w *world) other(id string, regions ...string) {
	w.Helper()
	_, err := w.cloudformation().UpdateStackInstances(w.Context(), &cloudformation.UpdateStackInstancesInput{
		StackSetName: mining, Accounts: accounts, Regions: regions, OperationId: &id,
	})
	w.must(err)
}

// idle waits until no operation is in progress.
func (w *world) idle() {
	w.Helper()
	for range 1000 {
		out, err := w.cloudformation().ListStackSetOperations(w.Context(), &cloudformation.ListStackSetOperationsInput{StackSetName: mining})
		w.must(err)
		if len(out.Summaries) == 0 || out.Summaries[0].Status != types.StackSetOperationStatusRunning {
			return
		}
	}
	w.Fatal("an operation does not end")
}
