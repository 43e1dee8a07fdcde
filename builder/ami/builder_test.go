// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// world is an AWS in this process, where everything happens at once, and a
// build's view of it.
type world struct {
	aws *rehearsal.Server
	ui  lockedBuffer

	mu     sync.Mutex
	calls  int
	slow   map[int]bool  // calls that packer-plugin-amazon repeats for up to two minutes
	onCall func(nth int) // told before each call is sent
	lose   int           // the call whose answer is lost, after it was carried out

	transport http.RoundTripper // of the next build, nil for the world itself
	hook      packersdk.Hook    // the provisioners of the next build, nil for none
}

// lockedBuffer takes what a build says, from several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// listener takes what a build says. The SDK's own Ui reads a global set of
// secrets, which the Prepare of a build beside it writes.
type listener struct {
	packersdk.Ui
	out io.Writer
}

func (l listener) Say(text string)                   { _, _ = fmt.Fprintln(l.out, text) }
func (l listener) Sayf(format string, args ...any)   { l.Say(fmt.Sprintf(format, args...)) }
func (l listener) Message(text string)               { l.Say(text) }
func (l listener) Error(text string)                 { l.Say(text) }
func (l listener) Errorf(format string, args ...any) { l.Say(fmt.Sprintf(format, args...)) }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{slow: map[int]bool{}, aws: rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret"})}
	t.Cleanup(func() { _ = w.aws.Close() })
	return w
}

// RoundTrip hands a request to the server without a network.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.calls++
	nth, onCall := w.calls, w.onCall
	w.mu.Unlock()
	if onCall != nil {
		onCall(nth)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(body, []byte("Action=CreateKeyPair&")) && !bytes.Contains(body, []byte("&DryRun=true")) || bytes.Contains(body, []byte("Action=DeleteSecurityGroup&")) {
		w.mu.Lock()
		w.slow[nth] = true
		w.mu.Unlock()
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	w.aws.ServeHTTP(answer, r)
	if nth == w.lose {
		return nil, io.ErrUnexpectedEOF
	}
	return answer.Result(), nil
}

// build runs a build of two regions without an instance to log in to.
func (w *world) build(t *testing.T, ctx context.Context, config map[string]any) (packersdk.Artifact, error) {
	t.Helper()
	raw := map[string]any{
		"rehearsal": true, "rehearsal_instance": "none",
		"region": "eu-central-1", "ami_regions": []string{"us-east-1"},
		"ami_name": "sweep", "temporary_key_pair_type": "ed25519",
	}
	maps.Copy(raw, config)
	var b Builder
	if _, _, err := b.Prepare(raw); err != nil {
		t.Fatal(err)
	}
	b.config.TemporarySGSourcePublicIp = false
	b.config.TemporarySGSourceCidrs = []string{rehearsal.CallerIP + "/32"}
	b.patience = distribute.Backoff{Tries: 4, Least: time.Millisecond, Most: time.Millisecond}
	b.launching = launch.Patience{Tries: 4, Throttle: time.Millisecond, Walk: time.Millisecond}
	b.watching = time.Millisecond
	var transport http.RoundTripper = w
	if w.transport != nil {
		transport = w.transport
	}
	b.connect = func(context.Context, packersdk.Ui) (*ec2api.Clients, error) {
		return ec2api.New(w.awsConfig(transport), ""), nil
	}
	return b.Run(ctx, listener{&packersdk.BasicUi{Reader: strings.NewReader("")}, &w.ui}, cmp.Or[packersdk.Hook](w.hook, &packersdk.MockHook{}))
}

func (w *world) awsConfig(transport http.RoundTripper) aws.Config {
	return aws.Config{
		Region:       "eu-central-1",
		BaseEndpoint: aws.String("http://127.0.0.1"),
		HTTPClient:   &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret"}, nil
		}),
		Retryer: func() aws.Retryer { // as the SDK's own, without its pauses
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
			})
		},
	}
}

// client is a user's, apart from any build.
func (w *world) client(region string) *ec2.Client {
	return ec2api.New(w.awsConfig(w), "").EC2(region)
}

// left lists what exists, "region kind id" each; a key pair goes by its name.
func (w *world) left() []string {
	var left []string
	for region, resources := range w.aws.Inventory() {
		for _, r := range resources {
			id := r.ID
			if r.Kind == "key-pair" {
				id = r.Name
			}
			left = append(left, fmt.Sprintf("%s %s %s", region, r.Kind, id))
		}
	}
	slices.Sort(left)
	return left
}

func TestBuild(t *testing.T) {
	w := newWorld(t)
	artifact, err := w.build(t, t.Context(), map[string]any{
		"tags":          map[string]string{"Source": "{{ .SourceAMI }}"},
		"snapshot_tags": map[string]string{"Source": "its own"},
		"ami_users":     []string{"444455556666"},
		"deprecate_at":  time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339),
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	inventory := w.aws.Inventory()
	for _, region := range []string{"eu-central-1", "us-east-1"} {
		var kinds []string
		for _, r := range inventory[region] {
			kinds = append(kinds, r.Kind)
			if r.Tags[tags.BuildID] == "" {
				t.Errorf("%s in %s has no build id: %v", r.ID, region, r.Tags)
			}
			source := r.Tags["Source"]
			if r.Kind == "snapshot" && source != "its own" || r.Kind == "image" && !strings.HasPrefix(source, "ami-") {
				t.Errorf("%s %s in %s: the tag Source is %q", r.Kind, r.ID, region, source)
			}
		}
		slices.Sort(kinds)
		if !slices.Equal(kinds, []string{"image", "snapshot"}) {
			t.Errorf("%s has %v, want an image and its snapshot, and nothing else", region, kinds)
		}
	}
	if artifact.State(StateRehearsal) != true {
		t.Error("the artifact is not marked as a rehearsal's")
	}
	if text, _ := artifact.State(StateBuild).(string); !strings.Contains(text, `"instance_type":"g4dn.xlarge"`) {
		t.Errorf("the report does not name the instance type: %s", text)
	}
}

func TestIntermediaryIsRemoved(t *testing.T) {
	for name, test := range map[string]struct {
		config  map[string]any
		regions []string
	}{
		"encrypted":                 {map[string]any{"encrypt_boot": true}, []string{"eu-central-1", "us-east-1"}},
		"not in the build's region": {map[string]any{"skip_save_build_region": true}, []string{"us-east-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			artifact, err := w.build(t, t.Context(), test.config)
			if err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			var got []string
			for _, part := range strings.Split(artifact.Id(), ",") {
				got = append(got, strings.Split(part, ":")[0])
			}
			if !slices.Equal(got, test.regions) {
				t.Errorf("the artifact is in %v, want %v", got, test.regions)
			}
			if left := w.left(); len(left) != 2*len(test.regions) {
				t.Errorf("want an image and a snapshot in each of %v, there is:\n%s", test.regions, strings.Join(left, "\n"))
			}
		})
	}
}

func TestSkipCreateAMI(t *testing.T) {
	w := newWorld(t)
	artifact, err := w.build(t, t.Context(), map[string]any{"skip_create_ami": true})
	if err != nil || artifact != nil {
		t.Errorf("got %v, %v, want neither artifact nor error", artifact, err)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// One copy that fails takes the whole build back: no region is left with an
// image that the others lack.
func TestAFailedCopyLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-east-1", State: "failed"})
	_, err := w.build(t, t.Context(), map[string]any{"ami_regions": []string{"us-east-1", "us-west-1", "us-west-2"}})
	if err == nil || !strings.Contains(err.Error(), "us-east-1") {
		t.Errorf("the error must name the region that failed: %v", err)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// Whatever single call is refused, a build leaves its images, or nothing, or
// says what it left.
func TestSweepOfRefusedCalls(t *testing.T) {
	clean := newWorld(t)
	if _, err := clean.build(t, t.Context(), nil); err != nil {
		t.Fatalf("%v\n%s", err, clean.ui.String())
	}
	whole := len(clean.left())
	for nth := 1; nth <= clean.calls; nth++ {
		t.Run(fmt.Sprintf("call %d", nth), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.aws.AddFault(rehearsal.Fault{Nth: nth, Code: "UnauthorizedOperation", Status: http.StatusForbidden})
			artifact, err := w.build(t, t.Context(), nil)
			want := 0
			if artifact != nil {
				want = whole
			} else if err == nil {
				t.Error("neither an artifact nor an error")
			}
			var unsaid []string
			for _, line := range w.left() {
				id := line[strings.LastIndexByte(line, ' ')+1:]
				if artifact != nil && (strings.Contains(line, " image ") || strings.Contains(line, " snapshot ")) {
					continue
				}
				if !strings.Contains(w.ui.String(), id) || !strings.Contains(w.ui.String(), "elete") {
					unsaid = append(unsaid, line)
				}
			}
			if len(unsaid) > 0 || len(w.left()) < want {
				t.Errorf("left behind without a word (error %v):\n%s\n--- the build said:\n%s", err, strings.Join(unsaid, "\n"), w.ui.String())
			}
		})
	}
}

// Whenever a build is cancelled, it leaves its images, or nothing.
func TestSweepOfCancellations(t *testing.T) {
	clean := newWorld(t)
	if _, err := clean.build(t, t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for nth := 1; nth <= clean.calls; nth++ {
		t.Run(fmt.Sprintf("before call %d", nth), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.onCall = func(now int) {
				if now == nth {
					cancel()
				}
			}
			artifact, err := w.build(t, ctx, nil)
			if left := w.left(); artifact == nil && len(left) > 0 {
				t.Errorf("left behind (error %v):\n%s\n--- the build said:\n%s", err, strings.Join(left, "\n"), w.ui.String())
			}
			if artifact == nil && err == nil {
				t.Error("neither an artifact nor an error")
			}
		})
	}
}

// A spot instance cannot be stopped: its image is taken with a reboot.
func TestSpot(t *testing.T) {
	w := newWorld(t)
	if _, err := w.build(t, t.Context(), map[string]any{"spot_price": "auto"}); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	calls := w.aws.Calls()
	if n := calls["eu-central-1"]["StopInstances"]; n != 0 {
		t.Errorf("StopInstances was called %d times; a one-time spot instance cannot be stopped", n)
	}
	if left := w.left(); len(left) != 4 {
		t.Errorf("want two images with a snapshot each, there is:\n%s", strings.Join(left, "\n"))
	}
}

func TestForceDeregister(t *testing.T) {
	w := newWorld(t)
	if _, err := w.build(t, t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	before := w.left()
	if _, err := w.build(t, t.Context(), nil); err == nil || !strings.Contains(err.Error(), "is taken in us-east-1 by ami-") {
		t.Errorf("a name that is taken must be found before anything is created: %v", err)
	}
	if after := w.left(); !slices.Equal(before, after) {
		t.Errorf("a refused build changed what there is:\n%s", strings.Join(after, "\n"))
	}
	artifact, err := w.build(t, t.Context(), map[string]any{"force_deregister": true, "force_delete_snapshot": true})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	left := strings.Join(w.left(), "\n")
	for _, old := range before {
		if strings.Contains(left, old) {
			t.Errorf("%s is still there:\n%s", old, left)
		}
	}
	for _, image := range strings.Split(artifact.Id(), ",") {
		if id := strings.Split(image, ":")[1]; !strings.Contains(left, id) {
			t.Errorf("%s of the artifact is not there:\n%s", id, left)
		}
	}
}

// With deregister_on_destroy, a failed post-processor takes the images back.
func TestDestroyDeregistersWhenAsked(t *testing.T) {
	w := newWorld(t)
	artifact, err := w.build(t, t.Context(), map[string]any{"deregister_on_destroy": true})
	if err != nil {
		t.Fatal(err)
	}
	if err := artifact.Destroy(); err != nil {
		t.Fatal(err)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// Protection comes after everything else, in all regions: a build that fails
// while it finishes can still take its images back.
func TestAProtectedImageIsNotLeftBehind(t *testing.T) {
	protect := map[string]any{
		"deregistration_protection": map[string]any{"enabled": true},
		"tags":                      map[string]string{"Name": "x"},
		"deregister_on_destroy":     true,
	}
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CreateTags", Region: "us-east-1", Code: "UnauthorizedOperation", Status: http.StatusForbidden})
	if _, err := w.build(t, t.Context(), protect); err == nil {
		t.Error("a build whose tags are refused succeeded")
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind:\n%s\n%s", strings.Join(left, "\n"), w.ui.String())
	}

	w = newWorld(t)
	artifact, err := w.build(t, t.Context(), protect)
	if err != nil {
		t.Fatal(err)
	}
	if err := artifact.Destroy(); err != nil {
		t.Error(err)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// An intermediary that cannot be removed is said, although the build is good.
func TestAnIntermediaryThatStaysIsSaid(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "DeregisterImage", Code: "UnauthorizedOperation", Status: http.StatusForbidden})
	if _, err := w.build(t, t.Context(), map[string]any{"encrypt_boot": true}); err != nil {
		t.Fatal(err)
	}
	if said := w.ui.String(); !strings.Contains(said, "left behind: image ami-") || !strings.Contains(said, "ec2 deregister-image --image-id ami-") {
		t.Errorf("the build does not say that its unencrypted intermediary is still there:\n%s", said)
	}
}

// Whatever answer is lost on its way, the build knows each instance and image
// that it has made, although the call that made it is repeated.
func TestSweepOfLostAnswers(t *testing.T) {
	clean := newWorld(t)
	if _, err := clean.build(t, t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	whole := len(clean.left())
	for nth := 1; nth <= clean.calls; nth++ {
		if clean.slow[nth] {
			continue
		}
		t.Run(fmt.Sprintf("call %d", nth), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.lose = nth
			artifact, err := w.build(t, t.Context(), nil)
			want := 0
			if artifact != nil {
				want = whole
			}
			// Key pair and security group are packer-plugin-amazon's to make.
			ours := slices.DeleteFunc(w.left(), func(line string) bool {
				return strings.Contains(line, " key-pair ") || strings.Contains(line, " security-group ")
			})
			if len(ours) != want {
				t.Errorf("want %d resources (error %v), there is:\n%s\n--- the build said:\n%s", want, err, strings.Join(ours, "\n"), w.ui.String())
			}
		})
	}
}
