// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

var three = []string{"us-east-1", "eu-central-1", "ap-south-1"}

// thirty regions, the names of which are made up.
func thirty() (list []string) {
	for i := range 30 {
		list = append(list, fmt.Sprintf("xx-made-%d", i+1))
	}
	return list
}

// latest is the version of each region's latest.
func (w *world) latest(s publish.Spec) map[string]int {
	w.Helper()
	versions := map[string]int{}
	for line := range strings.SplitSeq(w.seen(s, "0"), "\n") {
		if rest, ok := strings.CutPrefix(line, "latest "); ok {
			_, what, _ := strings.Cut(rest, ": ")
			versions[what]++
		}
	}
	return versions
}

// Killed at any call and run again, a publication ends as one that was not
// killed; and so does a rollback. The call is carried out or not when the
// process is killed: both are tried.
func TestKilledAtEveryCall(t *testing.T) {
	t.Run("fake", func(t *testing.T) { killedAtEveryCall(t, worlds["fake"], three) })
	t.Run("rehearsal", func(t *testing.T) { killedAtEveryCall(t, worlds["rehearsal"], three[:2]) })
}

func killedAtEveryCall(t *testing.T, newWorld func(*testing.T, ...string) *world, regions []string) {
	newWorld(t, regions...) // whose images the templates have
	s := spec(regions...)
	s.S3.KeepVersions = 2
	for name, do := range map[string]func(w *world) error{
		"publish": func(w *world) error { return w.publish(s, template(3, regions...)) },
		"rollback": func(w *world) error {
			p := w.publisher()
			state, err := p.State(w.context(), w.plan(s, template(1, regions...)).Source())
			if err != nil {
				return err
			}
			if state.Record.Action == publish.RollingBack && state.Sealed {
				return nil // killed when all was done: once more would go further back
			}
			plan, err := p.RollbackPlan(w.context(), state, "")
			if err != nil {
				return err
			}
			return p.Publish(w.context(), plan)
		},
	} {
		t.Run(name, func(t *testing.T) {
			version := w0(t, s, 3)
			if name == "rollback" {
				version = w0(t, s, 1)
			}
			begin := func() *world {
				w := newWorld(t, regions...)
				w.must(w.publish(s, template(1, regions...)))
				w.must(w.publish(s, template(2, regions...)))
				w.wire.reset(nil)
				return w
			}
			w := begin()
			w.must(do(w))
			calls := w.wire.reset(nil)
			want := w.seen(s, version)
			if !strings.Contains(want, version+" number 3") || !strings.Contains(want, "000003.done") {
				t.Fatalf("not done:\n%s", want)
			}
			for k := range len(calls) {
				for _, way := range ways {
					w := begin()
					w.dieAt(k+1, way)
					if err := do(w); err == nil {
						t.Fatalf("%s at call %d: no error", way, k+1)
					}
					w.live()
					w.must(do(w))
					if got := w.seen(s, version); got != want {
						t.Fatalf("%s at call %d, of %v, and run again, there is\n%s\nwant\n%s", way, k+1, calls[k], got, want)
					}
				}
			}
		})
	}
}

// w0 is the version of a template.
func w0(t *testing.T, s publish.Spec, n int) string {
	t.Helper()
	p, err := publish.Compute(s, template(n, s.S3.Regions...))
	if err != nil {
		t.Fatal(err)
	}
	return p.Version
}

// A region that fails before the flip: no latest has changed, in no region, and
// no parameter. A region that fails after it: the others are rolled forward, it
// is named, nothing is announced, and the next run goes on.
func TestOneRegionFails(t *testing.T) {
	t.Run("fake", func(t *testing.T) { oneRegionFails(t, worlds["fake"], thirty()) })
	t.Run("rehearsal", func(t *testing.T) { oneRegionFails(t, worlds["rehearsal"], regionsOfAWS(t)) })
}

func oneRegionFails(t *testing.T, newWorld func(*testing.T, ...string) *world, regions []string) {
	newWorld(t, regions...) // whose images the templates have
	s := spec(regions...)
	bad := regions[17]
	for name, test := range map[string]struct {
		action string // that fails in the region
		times  int    // 0: each time
		mixed  bool
	}{
		"look":            {"GET eth/templates/latest/mining.template", 0, false},
		"upload":          {"PUT eth/templates/", 0, false},
		"verify":          {"GET eth/templates/", 0, false},
		"flip, once":      {"PUT eth/templates/latest/mining.template", 1, false},
		"flip, each time": {"PUT eth/templates/latest/mining.template", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, regions...)
			w.must(w.publish(s, template(1, regions...)))
			before := w.seen(s, "none")
			left := test.times
			w.wire.failWith(func(c call) *failure {
				if c.region != bad || !strings.HasPrefix(c.action, test.action) || test.times > 0 && left == 0 {
					return nil
				}
				left--
				return &failure{503, "ServiceUnavailable", "Please reduce your request rate."}
			})
			p := w.publisher()
			if test.times > 0 {
				p.Patience = time.Minute // never reached
			}
			err := p.Publish(w.context(), w.plan(s, template(2, regions...)))
			w.wire.failWith(nil)
			one, two := w0(t, s, 1), w0(t, s, 2)
			switch latest := w.latest(s); {
			case test.times > 0:
				if err != nil || latest[two+" number 2"] != 30 || !w.hasSaid("latest in "+bad+": trying again") {
					t.Errorf("%v: %v", err, latest)
				}
			case test.mixed:
				if err == nil || !strings.Contains(err.Error(), bad) || latest[two+" number 2"] != 29 || latest[one+" number 1"] != 1 {
					t.Errorf("%v: %v", err, latest)
				}
				if strings.Contains(w.seen(s, two), "/ethminer/ami "+imageIn(regions[0], 2)) {
					t.Error("announced, although a region has the old template")
				}
			default:
				if err == nil || !strings.Contains(err.Error(), bad) || latest[one+" number 1"] != 30 {
					t.Errorf("%v: %v", err, latest)
				}
				after := w.seen(s, "none")
				for line := range strings.SplitSeq(after, "\n") {
					if !strings.Contains(before, line) && !strings.HasPrefix(line, "object ") {
						t.Errorf("changed: %s", line)
					}
				}
			}
			w.must(w.publish(s, template(2, regions...)))
			if latest := w.latest(s); latest[two+" number 2"] != 30 {
				t.Errorf("run again: %v", latest)
			}
		})
	}
}

// No latest changes before the slowest region has been read back, and nothing
// is announced before the slowest latest has changed.
func TestSlowRegion(t *testing.T) {
	regions := thirty()
	w, _ := newFake(t, regions...)
	s := spec(regions...)
	version := w0(t, s, 1)
	var mu sync.Mutex
	var order []string
	w.wire.reset(func(_ int, c call) error {
		if c.region == regions[17] {
			time.Sleep(20 * time.Millisecond)
		}
		kind := c.action
		if strings.HasPrefix(c.action, "GET eth/templates/"+version) {
			kind = "read back"
		}
		mu.Lock()
		defer mu.Unlock()
		order = append(order, kind)
		return nil
	})
	w.must(w.publish(s, template(1, regions...)))
	const flip = "PUT eth/templates/latest/mining.template"
	last := func(kind string) (at int) {
		for i, k := range order {
			if k == kind {
				at = i
			}
		}
		return at
	}
	if last("read back") > slices.Index(order, flip) || last(flip) > slices.Index(order, "PutParameter") {
		t.Errorf("the order of calls is %v", order)
	}
}

// Of two builds at the same time one wins, and what is latest in the end is the
// same everywhere, however their calls interleave.
func TestTwoBuildsAtOnce(t *testing.T) {
	s := spec(three...)
	s.SSM = nil
	for k := range 24 {
		w, _ := newFake(t, three...)
		w.must(w.publish(s, template(1, three...)))
		// The second build does all of its work before the k-th call of the first.
		var other error
		var inside sync.Mutex
		done := false
		w.wire.reset(func(n int, _ call) error {
			inside.Lock()
			begin := n == k+1 && !done
			done = done || begin
			inside.Unlock()
			if begin {
				other = w.publish(s, template(3, three...))
			}
			return nil
		})
		err := w.publish(s, template(2, three...))
		w.wire.reset(nil)
		if !done {
			if k < 15 {
				t.Errorf("a publication makes %d calls only", k)
			}
			break
		}
		latest := w.latest(s)
		if len(latest) != 1 {
			t.Errorf("at call %d: latest is mixed: %v (%v, %v)", k+1, latest, err, other)
		}
		if other != nil && !errors.Is(other, publish.ErrSuperseded) || err != nil && !errors.Is(err, publish.ErrSuperseded) {
			t.Errorf("at call %d: %v, %v", k+1, err, other)
		}
		if err != nil && other != nil {
			t.Errorf("at call %d: both lost", k+1)
		}
		for what := range latest {
			if err == nil && other == nil && !strings.HasSuffix(what, "number 3") {
				t.Errorf("at call %d: latest is %s; one wrote over the other unseen (%v, %v)", k+1, what, err, other)
			}
		}
	}
}

// SSM: what it does not take, and what it has already.
func TestParameters(t *testing.T) {
	w, f := newFake(t, "us-east-1")
	s := spec("us-east-1")
	s.SSM.Timeout = 20 * time.Millisecond
	f.looks = 1000
	if err := w.publish(s, template(1, "us-east-1")); err == nil || !strings.Contains(err.Error(), "SSM has not taken "+imageOf(1)) {
		t.Errorf("an image that SSM does not find: %v", err)
	}
	f.looks = 0
	f.parameters = map[string]*parameter{"us-east-1/ethminer/ami": {value: "ami-1", dataType: "text", version: 1}}
	if err := w.publish(s, template(1, "us-east-1")); err == nil || !strings.Contains(err.Error(), `data type "text", which SSM never changes`) {
		t.Errorf("a parameter of another type: %v", err)
	}
	f.parameters = map[string]*parameter{"us-east-1/ethminer/" + w0(t, s, 1) + "/ami": {value: "ami-1", dataType: "aws:ec2:image", version: 1}}
	if err := w.publish(s, template(1, "us-east-1")); err == nil || !strings.Contains(err.Error(), "the parameter of a version never changes") {
		t.Errorf("a version's parameter that is another: %v", err)
	}
}

// SSM takes few puts a second: what it throttles is tried again.
func TestThrottled(t *testing.T) {
	w, _ := newFake(t, three...)
	left := 12
	w.wire.failWith(func(c call) *failure {
		if c.action != "PutParameter" || left == 0 {
			return nil
		}
		left--
		return &failure{400, "ThrottlingException", "Rate exceeded"}
	})
	p := w.publisher()
	p.Patience = 10 * time.Second
	w.must(p.Publish(t.Context(), w.plan(spec(three...), template(1, three...))))
}

// Old versions go, and those that are kept can be gone back to, one by one.
func TestKeepVersions(t *testing.T) {
	w, f := newFake(t, three...)
	s := spec(three...)
	s.S3.KeepVersions = 3
	for n := range 5 {
		w.must(w.publish(s, template(n+1, three...)))
	}
	count := 0
	for key := range f.objects {
		if strings.HasSuffix(key, "/mining.template") && !strings.Contains(key, "/latest/") {
			count++
		}
	}
	if count != 3*len(three) {
		t.Errorf("%d versions are kept, want 3 in each of %d regions", count, len(three))
	}
	p := w.publisher()
	source := w.plan(s, template(1, three...)).Source()
	for _, want := range []int{4, 3} {
		state, err := p.State(t.Context(), source)
		w.must(err)
		plan, err := p.RollbackPlan(t.Context(), state, "")
		w.must(err)
		w.must(p.Publish(t.Context(), plan))
		if plan.Version != w0(t, s, want) {
			t.Errorf("went back to %s, want that of %d", plan.Version, want)
		}
	}
	state, err := p.State(t.Context(), source)
	w.must(err)
	if _, err := p.RollbackPlan(t.Context(), state, ""); err == nil || !strings.Contains(err.Error(), "none to go back to") {
		t.Errorf("further back: %v", err)
	}
	if _, err := p.RollbackPlan(t.Context(), state, "nothing"); err == nil || !strings.Contains(err.Error(), `"nothing" is the beginning of 0`) {
		t.Errorf("to a version that is not: %v", err)
	}
}
