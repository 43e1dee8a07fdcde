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
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// world is a fake AWS in this process, which completes every operation at once, and
// the state of the next build.
type world struct {
	aws *rehearsal.Server
	ui  lockedBuffer

	mu     sync.Mutex
	calls  int
	onCall func(nth int) // runs before each call is sent
	cut    int           // number of the call whose response is truncated
	lose   int           // number of the call whose response is lost, after it took effect

	patience    distribute.Backoff // of the next build; the default is 4 requests
	outageLimit time.Duration      // of the next build; 0 means a minute
	credentials aws.Credentials    // of the next build; none means the world's
	transport   http.RoundTripper  // of the next build; nil uses the world itself
	hook        packersdk.Hook     // provisioners of the next build; nil for none
	answers     []string           // to the build's prompts; "" afterwards
}

// lockedBuffer collects a build's output from several goroutines.
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

// listener is a Ui that collects output. It avoids a data race in the SDK's Ui, which
// reads global secrets while the Prepare of a parallel build writes them.
type listener struct {
	packersdk.Ui
	out    io.Writer
	answer func(question string) string
}

func (l listener) Ask(question string) (string, error) {
	l.Say(question)
	return l.answer(question), nil
}

func (l listener) Say(text string)                   { _, _ = fmt.Fprintln(l.out, text) }
func (l listener) Sayf(format string, args ...any)   { l.Say(fmt.Sprintf(format, args...)) }
func (l listener) Message(text string)               { l.Say(text) }
func (l listener) Error(text string)                 { l.Say(text) }
func (l listener) Errorf(format string, args ...any) { l.Say(fmt.Sprintf(format, args...)) }

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret"})
}

func newWorldOf(t *testing.T, config rehearsal.Config) *world {
	t.Helper()
	w := &world{aws: rehearsal.New(config)}
	t.Cleanup(func() { _ = w.aws.Close() })
	return w
}

// RoundTrip passes a request to the server without a network. A server that closes
// the connection loses the response.
func (w *world) RoundTrip(r *http.Request) (response *http.Response, err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // a panic, not an error
			response, err = nil, io.ErrUnexpectedEOF
		} else if p != nil {
			panic(p)
		}
	}()
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
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	w.aws.ServeHTTP(answer, r)
	if nth == w.lose {
		return nil, io.ErrUnexpectedEOF
	}
	if nth == w.cut { // status 200 with half of the body
		whole := answer.Body.Bytes()
		answer.Body = bytes.NewBuffer(whole[:len(whole)/2])
	}
	return answer.Result(), nil
}

// builder returns a builder for two regions that does not log in to its instance.
func (w *world) builder(t *testing.T, config map[string]any) *Builder {
	t.Helper()
	raw := map[string]any{
		"rehearsal": true, "rehearsal_instance": "none",
		"region": "eu-central-1", "ami_regions": []string{"us-east-1"},
		"ami_name": "sweep", "temporary_key_pair_type": "ed25519",
	}
	maps.Copy(raw, cloned(config).(map[string]any))
	b := new(Builder)
	if _, _, err := b.Prepare(raw); err != nil {
		t.Fatal(err)
	}
	b.config.TemporarySGSourcePublicIp = false
	b.config.TemporarySGSourceCidrs = []string{rehearsal.CallerIP + "/32"}
	b.pace.Patience = distribute.Backoff{Tries: 4, Least: time.Millisecond, Most: time.Millisecond}
	if w.patience.Tries > 0 {
		b.pace.Patience = w.patience
	}
	b.pace.Launching = launch.Patience{Tries: 4, Throttle: time.Millisecond, Round: time.Millisecond}
	b.pace.Watching = time.Millisecond
	b.pace.Settling, b.pace.Removal = time.Second, 2*time.Second
	b.checkLaunch = passes
	b.connect = func(context.Context, packersdk.Ui) (*awsclient.Clients, error) { return w.clients(), nil }
	return b
}

// cloned copies a configuration: the SDK renders values in place, and tests that run at
// the same time share them.
func cloned(value any) any {
	switch value := value.(type) {
	case map[string]any:
		all := make(map[string]any, len(value))
		for key, v := range value {
			all[key] = cloned(v)
		}
		return all
	case map[string]string:
		return maps.Clone(value)
	case []map[string]any:
		all := make([]map[string]any, 0, len(value))
		for _, v := range value {
			all = append(all, cloned(v).(map[string]any))
		}
		return all
	case []string:
		return slices.Clone(value)
	}
	return value
}

// clients returns clients whose requests pass w.transport, if it is set.
func (w *world) clients() *awsclient.Clients {
	var transport http.RoundTripper = w
	if w.transport != nil {
		transport = w.transport
	}
	clients := awsclient.New(w.awsConfig(transport), "")
	clients.OutagePace(time.Millisecond, 0, cmp.Or(w.outageLimit, time.Minute))
	return clients
}

// build runs a build of two regions that does not log in to its instance.
func (w *world) build(t *testing.T, ctx context.Context, config map[string]any) (packersdk.Artifact, error) {
	t.Helper()
	b := w.builder(t, config)
	return b.Run(ctx, listener{&packersdk.BasicUi{}, &w.ui, w.answer}, cmp.Or[packersdk.Hook](w.hook, &packersdk.MockHook{}))
}

// answer returns the next answer to a prompt.
func (w *world) answer(string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.answers) == 0 {
		return ""
	}
	answer := w.answers[0]
	w.answers = w.answers[1:]
	return answer
}

func (w *world) awsConfig(transport http.RoundTripper) aws.Config {
	return aws.Config{
		Region:       "eu-central-1",
		BaseEndpoint: aws.String("http://127.0.0.1"),
		HTTPClient:   &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.credentials.HasKeys() {
				return w.credentials, nil
			}
			return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret"}, nil
		}),
		Retryer: func() aws.Retryer { // the SDK's own, without its pauses
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
			})
		},
	}
}

// client returns a client that is independent of any build.
func (w *world) client(region string) *ec2.Client {
	return ec2.NewFromConfig(w.awsConfig(w), func(o *ec2.Options) { o.Region = region })
}

// left lists all resources as "region kind id", with the name as a key pair's id.
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
				t.Errorf("%s %s in %s: got tag Source %q", r.Kind, r.ID, region, source)
			}
		}
		slices.Sort(kinds)
		if !slices.Equal(kinds, []string{"image", "snapshot"}) {
			t.Errorf("%s: got %v, want only an image and its snapshot", region, kinds)
		}
	}
	if artifact.State("ethminer.rehearsal") != true {
		t.Error("the artifact is not marked as a rehearsal")
	}
	if text, _ := artifact.State("ethminer.build").(string); !strings.Contains(text, `"instance_type":"g4dn.xlarge"`) {
		t.Errorf("got report without the instance type: %s", text)
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
				t.Errorf("got an artifact in %v, want %v", got, test.regions)
			}
			if left := w.left(); len(left) != 2*len(test.regions) {
				t.Errorf("want an image and a snapshot in each of %v, got:\n%s", test.regions, strings.Join(left, "\n"))
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
		t.Errorf("got leftover resources, want none:\n%s", strings.Join(left, "\n"))
	}
}

// TestFailedCopyLeavesNothing: a single failed copy removes the images in all regions.
func TestFailedCopyLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-east-1", State: "failed"})
	_, err := w.build(t, t.Context(), map[string]any{"ami_regions": []string{"us-east-1", "us-west-1", "us-west-2"}})
	if err == nil || !strings.Contains(err.Error(), "us-east-1") {
		t.Errorf("got error %v, want the failed region in it", err)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("got leftover resources, want none:\n%s", strings.Join(left, "\n"))
	}
}

// named reports whether the output names a leftover, as a line of left, and the command
// that removes it.
func named(said, line string) bool {
	region, kind, id := strings.Fields(line)[0], strings.Fields(line)[1], strings.Fields(line)[2]
	label := regexp.QuoteMeta(id)
	if kind == "key-pair" {
		label = "(?:key-[0-9a-f]+|" + label + ")" // the id, or the name if the response was lost
	}
	return regexp.MustCompile(`left behind: ` + kind + ` ` + label + ` in ` + region + `\. To remove it:\n  aws .*` + label).MatchString(said)
}

// TestRefusalAtEachCall refuses each call in turn. The build must succeed, remove
// everything, or report each leftover.
func TestRefusalAtEachCall(t *testing.T) {
	clean := newWorld(t)
	if _, err := clean.build(t, t.Context(), withProfile()); err != nil {
		t.Fatalf("%v\n%s", err, clean.ui.String())
	}
	whole := len(clean.left())
	for nth := 1; nth <= clean.calls; nth++ {
		t.Run(fmt.Sprintf("call %d", nth), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.aws.AddFault(rehearsal.Fault{Nth: nth, Code: "UnauthorizedOperation", Status: http.StatusForbidden})
			artifact, err := w.build(t, t.Context(), withProfile())
			want := 0
			if artifact != nil {
				want = whole
			} else if err == nil {
				t.Error("got neither an artifact nor an error")
			}
			var unreported []string
			for _, line := range w.left() {
				if artifact != nil && (strings.Contains(line, " image ") || strings.Contains(line, " snapshot ")) {
					continue
				}
				if !named(w.ui.String(), line) {
					unreported = append(unreported, line)
				}
			}
			if len(unreported) > 0 || len(w.left()) < want {
				t.Errorf("got unreported leftovers (error %v):\n%s\n--- build output:\n%s", err, strings.Join(unreported, "\n"), w.ui.String())
			}
		})
	}
}

// imageOf returns the image of a snapshot, or else the id itself.
func (w *world) imageOf(id string) string {
	for _, resources := range w.aws.Inventory() {
		for _, r := range resources {
			if slices.Contains(r.Snapshots, id) {
				return r.ID
			}
		}
	}
	return id
}

// TestCancelAtEachCall cancels a build at each call. It must report each leftover, and
// list the images that it keeps, because Packer drops the artifact of a cancelled build.
func TestCancelAtEachCall(t *testing.T) {
	clean := newWorld(t)
	if _, err := clean.build(t, t.Context(), withProfile()); err != nil {
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
			artifact, err := w.build(t, ctx, withProfile())
			if artifact != nil || err == nil {
				t.Errorf("got %v and %v, want an error and no artifact", artifact, err)
			}
			said := w.ui.String()
			for _, line := range w.left() {
				kept := regexp.MustCompile(`--delete-associated-snapshots --image-id ` + w.imageOf(strings.Fields(line)[2]))
				if !kept.MatchString(said) && !named(said, line) {
					t.Errorf("got a leftover without a removal command (error %v): %s\n--- build output:\n%s", err, line, said)
				}
			}
		})
	}
}

// TestSpot: a spot instance cannot be stopped, so its image is created with a reboot.
func TestSpot(t *testing.T) {
	w := newWorld(t)
	if _, err := w.build(t, t.Context(), map[string]any{"spot_price": "auto"}); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	calls := w.aws.Calls()
	if n := calls["eu-central-1"]["StopInstances"]; n != 0 {
		t.Errorf("got %d StopInstances calls, want 0: a one-time spot instance cannot be stopped", n)
	}
	if left := w.left(); len(left) != 4 {
		t.Errorf("want two images with a snapshot each, got:\n%s", strings.Join(left, "\n"))
	}
}

func TestForceDeregister(t *testing.T) {
	w := newWorld(t)
	if _, err := w.build(t, t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	before := w.left()
	if _, err := w.build(t, t.Context(), nil); err == nil || !strings.Contains(err.Error(), "which is in use in us-east-1 by ami-") {
		t.Errorf("got error %v, want the name conflict before anything is created", err)
	}
	if after := w.left(); !slices.Equal(before, after) {
		t.Errorf("the failed build changed resources:\n%s", strings.Join(after, "\n"))
	}
	artifact, err := w.build(t, t.Context(), map[string]any{"force_deregister": true, "force_delete_snapshot": true})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	left := strings.Join(w.left(), "\n")
	for _, old := range before {
		if strings.Contains(left, old) {
			t.Errorf("%s still exists:\n%s", old, left)
		}
	}
	for _, image := range strings.Split(artifact.Id(), ",") {
		if id := strings.Split(image, ":")[1]; !strings.Contains(left, id) {
			t.Errorf("%s of the artifact does not exist:\n%s", id, left)
		}
	}
}

// TestDeregisterOnDestroy: with deregister_on_destroy, a failed post-processor
// deletes the images.
func TestDeregisterOnDestroy(t *testing.T) {
	w := newWorld(t)
	artifact, err := w.build(t, t.Context(), map[string]any{"deregister_on_destroy": true})
	if err != nil {
		t.Fatal(err)
	}
	if err := artifact.Destroy(); err != nil {
		t.Fatal(err)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("got leftover resources, want none:\n%s", strings.Join(left, "\n"))
	}
}

// TestProtectedImageIsDeleted: protection is enabled last, in all regions, so
// that a build that fails in its final steps can still delete its images.
func TestProtectedImageIsDeleted(t *testing.T) {
	protect := map[string]any{
		"deregistration_protection": map[string]any{"enabled": true},
		"tags":                      map[string]string{"Name": "x"},
		"deregister_on_destroy":     true,
	}
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "CreateTags", Region: "us-east-1", Code: "UnauthorizedOperation", Status: http.StatusForbidden})
	if _, err := w.build(t, t.Context(), protect); err == nil {
		t.Error("got no error, want one for the refused tags")
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("got leftover resources, want none:\n%s\n%s", strings.Join(left, "\n"), w.ui.String())
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
		t.Errorf("got leftover resources, want none:\n%s", strings.Join(left, "\n"))
	}
}

// TestLeftoverIntermediaryIsReported: a successful build reports an intermediary image
// that it could not remove.
func TestLeftoverIntermediaryIsReported(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "DeregisterImage", Code: "UnauthorizedOperation", Status: http.StatusForbidden})
	if _, err := w.build(t, t.Context(), map[string]any{"encrypt_boot": true}); err != nil {
		t.Fatal(err)
	}
	if said := w.ui.String(); !strings.Contains(said, "left behind: image ami-") || !strings.Contains(said, "ec2 deregister-image --delete-associated-snapshots --image-id ami-") {
		t.Errorf("the output does not say that the unencrypted intermediary image still exists:\n%s", said)
	}
}

// TestLostResponseAtEachCall loses or truncates each response in turn. The build retries
// the call and must track every resource that it created.
func TestLostResponseAtEachCall(t *testing.T) {
	clean := newWorld(t)
	if _, err := clean.build(t, t.Context(), withProfile()); err != nil {
		t.Fatal(err)
	}
	whole := len(clean.left())
	for name, lose := range map[string]func(w *world, nth int){
		"lost": func(w *world, nth int) { w.lose = nth },
		"cut":  func(w *world, nth int) { w.cut = nth },
	} {
		for nth := 1; nth <= clean.calls; nth++ {
			t.Run(fmt.Sprintf("%s/call %d", name, nth), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				lose(w, nth)
				artifact, err := w.build(t, t.Context(), withProfile())
				want := 0
				if artifact != nil {
					want = whole
				}
				if left := w.left(); len(left) != want {
					t.Errorf("want %d resources (error %v), got:\n%s\n--- build output:\n%s", want, err, strings.Join(left, "\n"), w.ui.String())
				}
			})
		}
	}
}

func TestPrepareReturnsGeneratedData(t *testing.T) {
	generated, _, err := new(Builder).Prepare(map[string]any{"region": "eu-central-1"})
	if err != nil || !slices.Contains(generated, "SourceAMI") {
		t.Errorf("got generated data %v, %v, want SourceAMI in it", generated, err)
	}
}
