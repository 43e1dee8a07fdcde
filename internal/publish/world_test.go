// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// world is an AWS to publish to, which records messages and calls.
type world struct {
	*testing.T
	config func(region string) aws.Config
	wire   wire
	ctx    context.Context   // of publish; the test's where it is nil
	server *rehearsal.Server // nil where moto is the AWS
	ticks  *ticks            // nil where the clock is the system's
	seenID string            // the newest operation that was looked at

	outage   time.Duration // how long requests wait for the end of an outage
	patience time.Duration // how long a call is retried

	mu   sync.Mutex
	said []string
}

// newWorld starts a rehearsal in this process with the buckets of the regions.
func newWorld(t *testing.T, regions ...string) *world {
	t.Helper()
	return newWorldWith(t, rehearsal.Config{Pace: pace.Profile{Stack: time.Second}}, regions...)
}

// newWorldWith starts a rehearsal with a configuration. Its default clock advances
// only with the calls of CloudFormation.
func newWorldWith(t *testing.T, cfg rehearsal.Config, regions ...string) *world {
	t.Helper()
	w := &world{T: t}
	if cfg.Clock == nil {
		clock := pace.NewManual(time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)) // when no image is deprecated
		cfg.Clock, w.ticks = clock, &ticks{clock: clock, step: time.Second}
	}
	cfg.AccessKey, cfg.SecretKey, cfg.Seed, cfg.OptIn = accessKey, accessKey, "publish", true
	w.server = rehearsal.New(cfg)
	w.wire.to = transport(w.server)
	if w.ticks != nil {
		w.ticks.to, w.wire.to = w.wire.to, w.ticks
	}
	w.config = func(region string) aws.Config {
		c := w.server.AWSConfig(region)
		c.RetryMaxAttempts = 1
		return c
	}
	for _, region := range regions {
		w.makeBucket(bucketOf(region), region)
	}
	return w
}

// ticks advances a clock with each call of CloudFormation.
type ticks struct {
	to    http.RoundTripper
	clock *pace.Manual
	step  time.Duration
	only  string // the action that advances it; any where it is empty
}

func (t *ticks) RoundTrip(r *http.Request) (*http.Response, error) {
	if c := callOf(r); c.service == "cloudformation" && (t.only == "" || t.only == c.action) {
		t.clock.Advance(t.step)
	}
	return t.to.RoundTrip(r)
}

// accessKey is the caller's in every world.
const accessKey = "test"

// lateSSM is an SSM that has validated an image at the second poll of its
// parameter: the first one returns what the poll before the put did.
type lateSSM struct {
	to   http.RoundTripper
	mu   sync.Mutex
	last map[string][]byte // response, by region and parameter
	late map[string]bool
}

// validateLate makes SSM validate each image at the second poll.
func (w *world) validateLate() {
	w.wire.to = &lateSSM{to: w.wire.to, last: map[string][]byte{}, late: map[string]bool{}}
}

func (s *lateSSM) RoundTrip(r *http.Request) (*http.Response, error) {
	c := callOf(r)
	if c.service != "ssm" {
		return s.to.RoundTrip(r)
	}
	text, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(text))
	var in struct{ Name string }
	_ = json.Unmarshal(text, &in)
	name := c.region + in.Name
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.action == "GetParameter" && s.late[name] {
		s.late[name] = false
		return http.ReadResponse(bufio.NewReader(bytes.NewReader(s.last[name])), r)
	}
	resp, err := s.to.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if c.action == "PutParameter" {
		s.late[name] = resp.StatusCode == http.StatusOK
		return resp, nil
	}
	s.last[name], err = httputil.DumpResponse(resp, true)
	return resp, err
}

// edits changes requests, except those of S3, and responses.
type edits struct {
	to                http.RoundTripper
	request, response func(c call, body string) string // nil changes nothing
}

func (e *edits) RoundTrip(r *http.Request) (*http.Response, error) {
	c := callOf(r)
	edit := func(body io.ReadCloser, change func(call, string) string) io.ReadCloser {
		if body == nil || change == nil {
			return body
		}
		text, _ := io.ReadAll(body)
		return io.NopCloser(strings.NewReader(change(c, string(text))))
	}
	if e.request != nil && c.service != "s3" {
		text, _ := io.ReadAll(edit(r.Body, e.request))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		sum := sha256.Sum256(text)
		key := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: accessKey}
		if err := v4.NewSigner().SignHTTP(r.Context(), key, r, hex.EncodeToString(sum[:]), c.service, c.region, time.Now()); err != nil {
			return nil, err
		}
	}
	resp, err := e.to.RoundTrip(r)
	if err == nil {
		resp.Body, resp.ContentLength = edit(resp.Body, e.response), -1
	}
	return resp, err
}

// wire counts the calls, and may do something before one.
type wire struct {
	to     http.RoundTripper
	mu     sync.Mutex
	calls  []call
	before func(n int, c call) error // n counts from 1
	fail   func(call) *failure
	lose   func(call) bool // the call is carried out, and its answer lost
	cut    func(call) bool // the body of the answer, of status 200, ends early
	kill   kill            // none where at is 0
}

// failure is an error response of a service.
type failure struct {
	status        int
	code, message string
}

// refusing is a rehearsal that rejects every call.
var refusing struct {
	sync.Mutex
	*rehearsal.Server
}

// RoundTrip returns the error in the format of the service.
func (f *failure) RoundTrip(r *http.Request) (*http.Response, error) {
	refusing.Lock()
	defer refusing.Unlock()
	if refusing.Server == nil {
		refusing.Server = rehearsal.New(rehearsal.Config{AccessKey: accessKey, SecretKey: accessKey, OptIn: true})
	}
	refusing.ClearFaults()
	refusing.AddFault(rehearsal.Fault{Code: f.code, Message: f.message, Status: f.status})
	return transport(refusing.Server).RoundTrip(r)
}

// transport sends requests to a rehearsal in this process.
func transport(server *rehearsal.Server) http.RoundTripper {
	return server.AWSConfig("us-east-1").HTTPClient.(*http.Client).Transport
}

// kill is the moment at which the process is killed: no call is sent after it.
type kill struct {
	at         int
	carriedOut bool // the call of that number has still an effect
}

func (w *wire) killAt(n int, carriedOut bool) { w.kill = kill{n, carriedOut} }

func (w *wire) failWith(fail func(call) *failure) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = fail
}

// call is one request, as its service names it.
type call struct{ region, service, action string }

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	c := callOf(r)
	w.mu.Lock()
	w.calls = append(w.calls, c)
	n, before, kill := len(w.calls), w.before, w.kill
	var fails *failure
	if w.fail != nil {
		fails = w.fail(c)
	}
	loses, cuts := w.lose != nil && w.lose(c), w.cut != nil && w.cut(c)
	w.mu.Unlock()
	if kill.at > 0 && n >= kill.at {
		if n == kill.at && kill.carriedOut {
			_, _ = w.to.RoundTrip(r)
		}
		return nil, errKilled
	}
	if fails != nil {
		return fails.RoundTrip(r)
	}
	if before != nil {
		if err := before(n, c); err != nil {
			return nil, err
		}
	}
	if loses {
		_, _ = w.to.RoundTrip(r)
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	resp, err := w.to.RoundTrip(r)
	if err == nil && cuts && resp.StatusCode == http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	return resp, err
}

func (w *wire) reset(before func(int, call) error) []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls, w.before = nil, before
	return calls
}

// callOf returns the call of a request.
func callOf(r *http.Request) call {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	parts := strings.Split(scope, "/")
	c := call{region: parts[2], service: parts[3]}
	switch {
	case c.service == "s3":
		_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		c.action = r.Method + " " + key
	case r.Header.Get("X-Amz-Target") != "":
		_, c.action, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	default:
		text, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(text))
		form, _ := url.ParseQuery(string(text))
		c.action = form.Get("Action")
	}
	return c
}

func (w *world) Clients() *awsclient.Clients { return w.clients(&w.wire) }

// aside returns clients whose calls the wire neither counts nor changes.
func (w *world) aside() *awsclient.Clients { return w.clients(w.wire.to) }

func (w *world) clients(to http.RoundTripper) *awsclient.Clients {
	c := w.config("us-east-1")
	c.HTTPClient = &http.Client{Transport: to}
	clients := awsclient.New(c, "")
	clients.OutagePace(time.Millisecond, 0, w.outage)
	return clients
}

func (w *world) publisher() *publish.Publisher {
	return &publish.Publisher{
		Clients: w.Clients(), Interval: time.Millisecond, Patience: max(w.patience, 20*time.Millisecond),
		Say: func(s string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.said = append(w.said, s)
		},
	}
}

func (w *world) hasSaid(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(strings.Join(w.said, "\n"), text)
}

// bucketOf returns the name of a region's bucket in these tests.
func bucketOf(region string) string { return "templates-" + region }

func (w *world) makeBucket(name, region string) {
	w.Helper()
	in := &s3.CreateBucketInput{Bucket: &name}
	if region != "us-east-1" { // which S3 wants to be left out
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
	}
	_, err := w.aside().S3(region, name).CreateBucket(w.Context(), in)
	w.must(err)
}

// deleteBucket deletes the bucket of a region with its objects.
func (w *world) deleteBucket(region string) {
	w.Helper()
	name := bucketOf(region)
	api := w.aside().S3(region, name)
	for object := range w.objects() {
		if key, ok := strings.CutPrefix(object, name+"/"); ok {
			_, err := api.DeleteObject(w.Context(), &s3.DeleteObjectInput{Bucket: &name, Key: &key})
			w.must(err)
		}
	}
	_, err := api.DeleteBucket(w.Context(), &s3.DeleteBucketInput{Bucket: &name})
	w.must(err)
}

// putObject writes an object beside the publication.
func (w *world) putObject(region, key, body string) {
	w.Helper()
	_, err := w.aside().S3(region, bucketOf(region)).PutObject(w.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucketOf(region)), Key: &key, Body: strings.NewReader(body),
	})
	w.must(err)
}

// private replaces the images of a template by copies of this account, which others
// may launch as far as permissions allow.
func (w *world) private(body []byte, permissions ...ec2types.LaunchPermission) []byte {
	w.Helper()
	for region, ids := range publicImages() {
		api := w.aside().EC2(region)
		for _, id := range ids {
			if !bytes.Contains(body, []byte(id)) {
				continue
			}
			out, err := api.CopyImage(w.Context(), &ec2.CopyImageInput{Name: aws.String("mining"), SourceImageId: &id, SourceRegion: &region})
			w.must(err)
			if len(permissions) > 0 {
				_, err = api.ModifyImageAttribute(w.Context(), &ec2.ModifyImageAttributeInput{
					ImageId: out.ImageId, LaunchPermission: &ec2types.LaunchPermissionModifications{Add: permissions},
				})
				w.must(err)
			}
			body = bytes.ReplaceAll(body, []byte(id), []byte(*out.ImageId))
		}
	}
	return body
}

// putParameter writes a parameter beside the publication.
func (w *world) putParameter(region string, in *ssm.PutParameterInput) {
	w.Helper()
	in.Type = ssmtypes.ParameterTypeString
	_, err := w.aside().SSM(region).PutParameter(w.Context(), in)
	w.must(err)
}

// objects returns the content of each object, by its bucket and key.
func (w *world) objects() map[string]string {
	w.Helper()
	all := map[string]string{}
	buckets, err := w.aside().S3("us-east-1", "").ListBuckets(w.Context(), &s3.ListBucketsInput{})
	w.must(err)
	for _, b := range buckets.Buckets {
		api := w.aside().S3(*b.BucketRegion, *b.Name)
		list, err := api.ListObjectsV2(w.Context(), &s3.ListObjectsV2Input{Bucket: b.Name})
		w.must(err)
		for _, o := range list.Contents {
			out, err := api.GetObject(w.Context(), &s3.GetObjectInput{Bucket: b.Name, Key: o.Key})
			w.must(err)
			body, err := io.ReadAll(out.Body)
			w.must(errors.Join(err, out.Body.Close()))
			all[*b.Name+"/"+*o.Key] = string(body)
		}
	}
	return all
}

// stored returns everything that a publication can leave: objects, parameters and
// stack sets.
func (w *world) stored() string {
	w.Helper()
	var lines []string
	for object, body := range w.objects() {
		lines = append(lines, fmt.Sprintf("object %s %x", object, sha256.Sum256([]byte(body))))
	}
	for region, all := range w.server.Inventory() {
		for _, r := range all {
			if r.Kind == "parameter" || r.Kind == "stack-set" {
				lines = append(lines, fmt.Sprintf("%s %s %s %s", r.Kind, region, r.ID, r.Image))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// template returns a template with an image in each region; n makes its content
// unique.
func template(n int, regions ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "AWSTemplateFormatVersion: '2010-09-09'\nDescription: number %d\nMappings:\n  AWSRegion2AMI:\n", n)
	for _, r := range regions {
		fmt.Fprintf(&b, "    %s:\n      AMI: %s\n", r, imageIn(r, n))
	}
	b.WriteString("Resources:\n  Handle:\n    Type: AWS::CloudFormation::WaitConditionHandle\nOutputs:\n  Image:\n    Value: !FindInMap [AWSRegion2AMI, !Ref AWS::Region, AMI]\n")
	return []byte(b.String())
}

// images are those of moto, by the number of a template.
var images = map[int]string{}

// publicImages returns the public images of Ubuntu in each region, which have the
// same ids in every rehearsal.
var publicImages = sync.OnceValue(func() map[string][]string {
	server := rehearsal.New(rehearsal.Config{OptIn: true})
	clients := awsclient.New(server.AWSConfig("us-east-1"), "")
	regions, err := clients.EC2("us-east-1").DescribeRegions(context.Background(), &ec2.DescribeRegionsInput{})
	if err != nil {
		panic(err)
	}
	all := map[string][]string{}
	for _, r := range regions.Regions {
		out, err := clients.EC2(*r.RegionName).DescribeImages(context.Background(), &ec2.DescribeImagesInput{Owners: []string{"099720109477"}})
		if err != nil {
			panic(err)
		}
		for _, image := range out.Images {
			all[*r.RegionName] = append(all[*r.RegionName], *image.ImageId)
		}
	}
	return all
})

// regionsOfAWS returns some regions of a rehearsal.
func regionsOfAWS(count int) []string { return slices.Sorted(maps.Keys(publicImages()))[:count] }

// imageIn returns the image of a template in a region. Numbers above those of the
// public images have an image that does not exist.
func imageIn(region string, n int) string {
	if id, ok := images[n]; ok {
		return id
	}
	if list := publicImages()[region]; n <= len(list) {
		return list[n-1]
	}
	return fmt.Sprintf("ami-%017x", n)
}

func spec(regions ...string) publish.Spec {
	return publish.Spec{
		Name: "mining.template", Mapping: "AWSRegion2AMI", Attributes: []string{"AMI"},
		S3:  publish.S3{Bucket: "templates-{{ .Region }}", Prefix: "eth/", Regions: regions},
		SSM: &publish.SSM{Name: "/ethminer/ami", VersionedName: "/ethminer/{{ .Version }}/ami", Timeout: 2 * time.Second},
	}
}

func (w *world) plan(s publish.Spec, body []byte) *publish.Plan {
	w.Helper()
	p, err := publish.Compute(s, body)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *world) publish(s publish.Spec, body []byte) error {
	w.Helper()
	return w.publisher().Publish(w.context(), w.plan(s, body))
}

func (w *world) context() context.Context {
	if w.ctx != nil {
		return w.ctx
	}
	return w.Context()
}

// dieAt kills the process at its n-th call, in the given way.
func (w *world) dieAt(n int, way string) {
	switch way {
	case "killed before it":
		w.wire.killAt(n, false)
	case "killed after it":
		w.wire.killAt(n, true)
	case "cancelled":
		ctx, cancel := context.WithCancel(w.Context())
		w.ctx = ctx
		w.wire.reset(func(now int, _ call) error {
			if now == n {
				cancel()
			}
			return nil
		})
	}
}

// live undoes dieAt.
func (w *world) live() {
	w.ctx = nil
	w.wire.killAt(0, false)
	w.wire.reset(nil)
}

var ways = []string{"killed before it", "killed after it", "cancelled"}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// seen returns everything visible of a publication, one line for each item.
func (w *world) seen(s publish.Spec, version string) string {
	w.Helper()
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	p := w.plan(s, template(1, s.S3.Regions...))
	ctx := context.Background()
	for _, at := range p.Places {
		out, err := w.aside().S3(at.Region, at.Bucket).GetObject(ctx, &s3.GetObjectInput{Bucket: &at.Bucket, Key: &at.Latest})
		if err != nil {
			say("latest %s: %s", at.Region, awsclient.Code(err))
			continue
		}
		say("latest %s: %s number %s", at.Region, out.Metadata["ethminer-version"], out.Metadata["ethminer-number"])
		list, err := w.aside().S3(at.Region, at.Bucket).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &at.Bucket})
		w.must(err)
		for _, o := range list.Contents {
			say("object %s: %s %d bytes", at.Region, *o.Key, *o.Size)
		}
		if s.SSM == nil {
			continue
		}
		for _, name := range []string{"/ethminer/ami", "/ethminer/" + version + "/ami"} {
			q, err := w.aside().SSM(at.Region).GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
			if err != nil {
				say("parameter %s: %s %s", at.Region, name, awsclient.Code(err))
			} else {
				say("parameter %s: %s %s", at.Region, name, aws.ToString(q.Parameter.Value))
			}
		}
	}
	if s.StackSet != nil {
		api := w.aside().CloudFormation(s.StackSet.Region)
		set, err := api.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: &s.StackSet.Name})
		if err != nil {
			say("set: %s", awsclient.Code(err))
			return strings.Join(lines, "\n")
		}
		say("set: %d bytes, %s", len(aws.ToString(set.StackSet.TemplateBody)), strings.SplitN(aws.ToString(set.StackSet.TemplateBody), "\n", 3)[1])
		list, err := api.ListStackInstances(ctx, &cloudformation.ListStackInstancesInput{StackSetName: &s.StackSet.Name})
		w.must(err)
		for _, i := range list.Summaries {
			say("instance %s %s: %s", *i.Region, *i.Account, i.Status)
		}
	}
	return strings.Join(lines, "\n")
}

var errKilled = errors.New("killed")
