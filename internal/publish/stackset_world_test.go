// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// setWorld is a world with a stack set, mining in us-east-1, which is looked at
// as anybody can.
type setWorld struct {
	*world
	f      *fake                                   // its S3, and all of it in the fake's world
	server *rehearsal.Server                       // its CloudFormation in the rehearsal's
	fail   func(region, account string, times int) // the next stacks there; in the fake those of the template number 2
	stand  func(still bool)                        // no operation comes to an end
	seenID string                                  // the newest operation that was looked at
	clock  *pace.Manual
}

// inEachWorld runs a test against the fake, which is quick, and against the
// rehearsal, which knows more of CloudFormation's rules.
func inEachWorld(t *testing.T, test func(t *testing.T, begin func(t *testing.T, regions ...string) *setWorld)) {
	t.Run("fake", func(t *testing.T) { test(t, newFakeSet) })
	t.Run("rehearsal", func(t *testing.T) { test(t, newRehearsedSet) })
}

func newFakeSet(t *testing.T, regions ...string) *setWorld {
	w, f := newFake(t, regions...)
	f.operationTakes = 1
	return &setWorld{world: w, f: f,
		fail: func(region, account string, _ int) {
			f.set.bad, f.set.onlyNew = region, true
			f.set.reason = "Account " + account + " should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship to Role 'AWSCloudFormationStackSetAdministrationRole'."
		},
		stand: func(still bool) {
			for _, o := range f.set.operations {
				o.left = 0
				if still {
					o.left = 1_000_000
				}
			}
		},
	}
}

// halfRehearsed is the fake's S3 and the rehearsal's CloudFormation, each of whose
// calls takes a second of a clock.
type halfRehearsed struct {
	f      *fake
	server http.RoundTripper
	clock  *pace.Manual
	still  bool
}

func (r *halfRehearsed) RoundTrip(q *http.Request) (*http.Response, error) {
	if callOf(q).service != "cloudformation" {
		return r.f.RoundTrip(q)
	}
	if !r.still {
		r.clock.Advance(time.Second)
	}
	return r.server.RoundTrip(q)
}

// Fetch is S3's part in a TemplateURL.
func (f *fake) Fetch(address string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	bucket, _, _ := strings.Cut(u.Host, ".")
	o, ok := f.objects[bucket+u.Path]
	if !ok {
		return nil, errors.New("no such key")
	}
	return o.body, nil
}

func newRehearsedSet(t *testing.T, regions ...string) *setWorld {
	w, f := newFake(t, regions...)
	clock := pace.NewManual(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
	server := rehearsal.New(rehearsal.Config{Clock: clock, Pace: pace.Profile{Stack: time.Second}, AccessKey: "test", Seed: "publish", Templates: f})
	r := &halfRehearsed{f: f, server: server.AWSConfig("us-east-1").HTTPClient.(*http.Client).Transport, clock: clock}
	w.wire.to = r
	return &setWorld{world: w, f: f, server: server, clock: clock,
		fail: func(region, account string, times int) {
			server.AddFault(rehearsal.Fault{StackRegion: region, StackAccount: account, State: "failed", Times: times})
		},
		stand: func(still bool) { r.still = still },
	}
}

// aside does something that is no call of ours.
func (w *setWorld) aside(do func(api *cloudformation.Client)) {
	w.Helper()
	w.wire.mu.Lock()
	calls, fail, before, kill := w.wire.calls, w.wire.fail, w.wire.before, w.wire.kill
	w.wire.fail, w.wire.before, w.wire.kill = nil, nil, killNone
	w.wire.mu.Unlock()
	do(w.Clients().CloudFormation("us-east-1"))
	w.wire.mu.Lock()
	defer w.wire.mu.Unlock()
	w.wire.calls, w.wire.fail, w.wire.before, w.wire.kill = calls, fail, before, kill
}

var killNone kill

var mining = aws.String("mining")

// operations are those since the last look, with their regions.
func (w *setWorld) operations() string {
	w.Helper()
	var all []string
	w.aside(func(api *cloudformation.Client) {
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
	})
	slices.Reverse(all)
	return strings.Join(all, "; ")
}

func (w *setWorld) set() *types.StackSet {
	w.Helper()
	var set *types.StackSet
	w.aside(func(api *cloudformation.Client) {
		out, err := api.DescribeStackSet(w.Context(), &cloudformation.DescribeStackSetInput{StackSetName: mining})
		w.must(err)
		set = out.StackSet
	})
	return set
}

func (w *setWorld) template() string { w.Helper(); return *w.set().TemplateBody }

// instances are the status of each, by region and account.
func (w *setWorld) instances() map[string]types.StackInstanceStatus {
	w.Helper()
	all := map[string]types.StackInstanceStatus{}
	w.aside(func(api *cloudformation.Client) {
		out, err := api.ListStackInstances(w.Context(), &cloudformation.ListStackInstancesInput{StackSetName: mining})
		w.must(err)
		for _, i := range out.Summaries {
			all[*i.Region+" "+*i.Account] = i.Status
		}
	})
	return all
}

// wantCurrent says which instances are not.
func (w *setWorld) wantCurrent(count int) {
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

// other is an operation of somebody else, on stacks that are there.
func (w *setWorld) other(id string, regions ...string) {
	w.Helper()
	if set := w.f.set; set != nil { // long enough to be met
		defer func(takes int) { set.takes = takes }(set.takes)
		set.takes = 10
	}
	w.aside(func(api *cloudformation.Client) {
		_, err := api.UpdateStackInstances(w.Context(), &cloudformation.UpdateStackInstancesInput{
			StackSetName: mining, Accounts: accounts, Regions: regions, OperationId: &id,
		})
		w.must(err)
	})
}

// idle waits until no operation is under way.
func (w *setWorld) idle() {
	w.Helper()
	for range 1000 {
		busy := false
		w.aside(func(api *cloudformation.Client) {
			out, err := api.ListStackSetOperations(w.Context(), &cloudformation.ListStackSetOperationsInput{StackSetName: mining})
			w.must(err)
			busy = len(out.Summaries) > 0 && out.Summaries[0].Status == types.StackSetOperationStatusRunning
		})
		if !busy {
			return
		}
	}
	w.Fatal("an operation does not end")
}
