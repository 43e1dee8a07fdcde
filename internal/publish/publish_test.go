// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

var three = []string{"us-east-1", "eu-central-1", "ap-south-1"}

// latest returns the version of each region's latest.
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

// A publication that is killed at any call and run again ends like one that was
// not killed; so does a rollback. The killed call is tested both as carried out
// and as not.
func TestKilledAtEveryCall(t *testing.T) {
	regions := three
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
				w.validateLate()
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

// An object whose response is cut is read again.
func TestCutResponses(t *testing.T) {
	regions := regionsOfAWS(2)
	s := spec(regions...)
	w := newWorld(t, regions...)
	cut := map[call]bool{}
	w.wire.cut = func(c call) bool {
		first := strings.HasPrefix(c.action, "GET ") && !cut[c]
		cut[c] = true
		return first
	}
	w.must(w.publish(s, template(1, regions...)))
	if len(cut) == 0 {
		t.Error("no response was cut")
	}
}

// If a region fails before the flip, no latest and no parameter has changed in any
// region. If one fails after it, the others continue, it is reported, nothing is
// announced, and the next run resumes.
func TestOneRegionFails(t *testing.T) {
	regions := regionsOfAWS(30)
	s := spec(regions...)
	bad := regions[17]
	for name, test := range map[string]struct {
		action string // that fails in the region
		once   string // what is said where it fails only once
		mixed  bool
		fail   failure // 503 where it is empty
	}{
		"look":            {action: "GET eth/templates/latest/mining.template"},
		"upload":          {action: "PUT eth/templates/"},
		"verify":          {action: "GET eth/templates/"},
		"flip, outage":    {action: "PUT eth/templates/latest/mining.template", once: "AWS answers PutObject in " + bad + " again"},
		"flip, once":      {action: "PUT eth/templates/latest/mining.template", once: "latest in " + bad + ": retrying", fail: failure{400, "RequestTimeout", "Idle connections will be closed."}},
		"flip, each time": {action: "PUT eth/templates/latest/mining.template", mixed: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, regions...)
			w.must(w.publish(s, template(1, regions...)))
			before := w.seen(s, "none")
			if test.fail.status == 0 {
				test.fail = failure{503, "ServiceUnavailable", "Please reduce your request rate."}
			}
			failed := false
			w.wire.failWith(func(c call) *failure {
				if c.region != bad || !strings.HasPrefix(c.action, test.action) || test.once != "" && failed {
					return nil
				}
				failed = true
				return &test.fail
			})
			if test.once != "" {
				w.outage, w.patience = time.Minute, time.Minute // never reached
			}
			err := w.publish(s, template(2, regions...))
			w.wire.failWith(nil)
			one, two := w0(t, s, 1), w0(t, s, 2)
			switch latest := w.latest(s); {
			case test.once != "":
				if err != nil || latest[two+" number 2"] != 30 || !w.hasSaid(test.once) {
					t.Errorf("%v: %v; said %q", err, latest, w.said)
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

// No latest changes before the slowest region has been verified, and nothing is
// announced before the slowest latest has changed.
func TestSlowRegion(t *testing.T) {
	regions := regionsOfAWS(30)
	w := newWorld(t, regions...)
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

// Of two concurrent builds one wins, and all regions end with the same latest,
// however the calls interleave.
func TestTwoBuildsAtOnce(t *testing.T) {
	s := spec(three...)
	s.SSM = nil
	for k := range 24 {
		w := newWorld(t, three...)
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

// Two equal publications at once both succeed, as one publication, however their
// calls interleave.
func TestEqualBuildsAtOnce(t *testing.T) {
	two := three[:2]
	s := setSpec(two...)
	s.SSM = spec(two...).SSM
	for k := 0; ; k++ {
		w := newWorld(t, two...)
		var other error
		var inside sync.Mutex
		done := false
		w.wire.reset(func(n int, _ call) error {
			inside.Lock()
			begin := n == k+1 && !done
			done = done || begin
			inside.Unlock()
			if begin {
				other = w.publish(s, template(1, two...))
			}
			return nil
		})
		err := w.publish(s, template(1, two...))
		w.wire.reset(nil)
		if !done {
			if k < 30 {
				t.Errorf("a publication makes %d calls only", k)
			}
			break
		}
		if err != nil || other != nil {
			t.Fatalf("at call %d: %v, %v", k+1, err, other)
		}
		if latest := w.latest(s); latest[w0(t, s, 1)+" number 1"] != 2 {
			t.Fatalf("at call %d: latest is %v", k+1, latest)
		}
		w.wantCurrent(4)
	}
}

// If latest changes and is rolled back while a build waits, its ETag is the same
// again: the build still notices it.
func TestChangedAndRolledBack(t *testing.T) {
	w := newWorld(t, three...)
	s := spec(three...)
	s.SSM = nil
	w.must(w.publish(s, template(1, three...)))
	done := false
	w.wire.reset(func(_ int, c call) error {
		if done || !strings.HasPrefix(c.action, "PUT eth/templates/"+w0(t, s, 3)) {
			return nil
		}
		done = true
		w.must(w.publish(s, template(2, three...)))
		state, err := w.publisher().State(t.Context(), w.plan(s, template(2, three...)).Source())
		w.must(err)
		back, err := w.publisher().RollbackPlan(t.Context(), state, "")
		w.must(err)
		w.must(w.publisher().Publish(t.Context(), back))
		return nil
	})
	if err := w.publish(s, template(3, three...)); !errors.Is(err, publish.ErrSuperseded) || !done {
		t.Errorf("error %v", err)
	}
	if latest := w.latest(s); latest[w0(t, s, 1)+" number 3"] != 3 {
		t.Errorf("latest is %v", latest)
	}
}

// S3's 409 means that another write is in progress: every write is sent again.
func TestConflictingWrites(t *testing.T) {
	for _, code := range []string{"ConditionalRequestConflict", "OperationAborted"} {
		w := newWorld(t, three...)
		s := spec(three...)
		hit := map[call]bool{}
		w.wire.failWith(func(c call) *failure {
			if !strings.HasPrefix(c.action, "PUT ") || hit[c] {
				return nil
			}
			hit[c] = true
			return &failure{409, code, "A conflicting conditional operation is currently in progress against this resource. Please try again."}
		})
		w.patience = time.Minute // never reached
		w.must(w.publish(s, template(1, three...)))
		if len(hit) != 10 { // version, latest and record in each region, and the seal
			t.Errorf("%s: %d writes failed once, want 10", code, len(hit))
		}
		if latest := w.latest(s); latest[w0(t, s, 1)+" number 1"] != 3 {
			t.Errorf("%s: latest is %v", code, latest)
		}
	}
}

// The record and the output have the version IDs of a bucket with versioning, and
// only the ETags of other buckets.
func TestVersionIDs(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, ...string) *world{"moto": newMoto, "rehearsal": newWorld} {
		t.Run(name, func(t *testing.T) {
			regions := []string{"us-east-1", "eu-west-1"}
			w := begin(t, regions...)
			_, err := w.aside().S3(regions[0], bucketOf(regions[0])).PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
				Bucket: aws.String(bucketOf(regions[0])), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
			})
			w.must(err)
			s := spec(regions...)
			s.SSM, s.TrustImages = nil, true
			w.must(w.publish(s, template(1, regions...)))
			w.must(w.publish(s, template(2, regions...)))
			state, err := w.publisher().State(t.Context(), w.plan(s, template(2, regions...)).Source())
			w.must(err)
			if len(state.Record.Objects) != 4 {
				t.Fatalf("the record has %+v", state.Record.Objects)
			}
			for _, o := range state.Record.Objects {
				bucket := bucketOf(o.Region)
				out, err := w.aside().S3(o.Region, bucket).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &o.Key})
				w.must(err)
				if id := aws.ToString(out.VersionId); o.ETag != aws.ToString(out.ETag) || o.VersionID != id || (id != "") != (o.Region == regions[0]) {
					t.Errorf("the record has %+v, and S3 ETag %s, version %q", o, aws.ToString(out.ETag), id)
				}
				if strings.Contains(o.Key, "/latest/") && o.VersionID != "" && !w.hasSaid("/latest/mining.template (version ID "+o.VersionID+")") {
					t.Errorf("said %q", w.said)
				}
			}
		})
	}
}

// SSM rejects some values, and may already have others.
func TestParameters(t *testing.T) {
	const region = "us-east-1"
	version := w0(t, spec(region), 1)
	for name, test := range map[string]struct {
		cfg  rehearsal.Config
		has  *ssm.PutParameterInput // before the publication
		want string
	}{
		"an image that SSM does not find": {cfg: rehearsal.Config{Pace: pace.Profile{Parameter: time.Hour}}, want: "SSM has not validated " + imageIn(region, 1)},
		"a parameter of another type": {has: &ssm.PutParameterInput{Name: aws.String("/ethminer/ami"), Value: aws.String("ami-1")},
			want: `data type "text", which SSM cannot change`},
		"a version's parameter that is another": {has: &ssm.PutParameterInput{
			Name: aws.String("/ethminer/" + version + "/ami"), Value: aws.String(imageIn(region, 2)), DataType: aws.String("aws:ec2:image")},
			want: "the parameter of a version never changes"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, test.cfg, region)
			if test.has != nil {
				w.putParameter(region, test.has)
			}
			s := spec(region)
			s.SSM.Timeout = 20 * time.Millisecond
			if err := w.publish(s, template(1, region)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// Throttled calls of SSM are retried.
func TestThrottled(t *testing.T) {
	w := newWorld(t, three...)
	left := 12
	w.wire.failWith(func(c call) *failure {
		if c.action != "PutParameter" || left == 0 {
			return nil
		}
		left--
		return &failure{400, "ThrottlingException", "Rate exceeded"}
	})
	w.patience = 10 * time.Second
	w.must(w.publish(spec(three...), template(1, three...)))
}

// S3 compares each object with its SHA-256, and stores that.
func TestChecksums(t *testing.T) {
	w := newWorld(t, three...)
	w.must(w.publish(spec(three...), template(1, three...)))
	objects := w.objects()
	if len(objects) != 10 { // version, latest and record in each region, and the seal
		t.Errorf("%d objects: %v", len(objects), slices.Sorted(maps.Keys(objects)))
	}
	for name, body := range objects {
		bucket, key, _ := strings.Cut(name, "/")
		out, err := w.aside().S3(strings.TrimPrefix(bucket, bucketOf("")), bucket).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		w.must(err)
		sum := sha256.Sum256([]byte(body))
		if aws.ToString(out.ChecksumSHA256) != base64.StdEncoding.EncodeToString(sum[:]) {
			t.Errorf("%s has the SHA-256 %q", name, aws.ToString(out.ChecksumSHA256))
		}
	}
}

// Old versions are deleted, and each remaining one can be restored in turn.
func TestKeepVersions(t *testing.T) {
	w := newWorld(t, three...)
	s := spec(three...)
	s.S3.KeepVersions = 3
	for n := range 5 {
		w.must(w.publish(s, template(n+1, three...)))
	}
	count := 0
	for key := range w.objects() {
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
	if _, err := p.RollbackPlan(t.Context(), state, ""); err == nil || !strings.Contains(err.Error(), "no earlier one to roll back to") {
		t.Errorf("further back: %v", err)
	}
	if _, err := p.RollbackPlan(t.Context(), state, "nothing"); err == nil || !strings.Contains(err.Error(), `"nothing" matches 0`) {
		t.Errorf("to a version that is not: %v", err)
	}
}
