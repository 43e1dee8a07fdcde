// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// world is an AWS to publish to, and what is said and called meanwhile.
type world struct {
	*testing.T
	config func(region string) aws.Config
	wire   wire
	ctx    context.Context // of publish; the test's where it is nil

	mu   sync.Mutex
	said []string
}

// worlds are the look-alikes that are quick enough for hundreds of publications.
var worlds = map[string]func(t *testing.T, regions ...string) *world{
	"fake":      func(t *testing.T, regions ...string) *world { w, _ := newFake(t, regions...); return w },
	"rehearsal": func(t *testing.T, regions ...string) *world { w, _ := newRehearsed(t, regions...); return w },
}

// wire counts the calls, and may do something before one.
type wire struct {
	to     http.RoundTripper
	mu     sync.Mutex
	calls  []call
	before func(n int, c call) error // n counts from 1
	fail   func(call) *failure
	lose   func(call) bool // the call is carried out, and its answer lost
	kill   kill            // none where at is 0
}

// failure is an error that a service answers with.
type failure struct {
	status        int
	code, message string
}

// kill is when the process is killed: no call goes out from then on.
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
	w.mu.Unlock()
	if kill.at > 0 && n >= kill.at {
		if n == kill.at && kill.carriedOut {
			_, _ = w.to.RoundTrip(r)
		}
		return nil, errKilled
	}
	if fails != nil {
		return refuse(r, fails.status, fails.code, fails.message), nil
	}
	if before != nil {
		if err := before(n, c); err != nil {
			return nil, err
		}
	}
	if w.lose != nil && w.lose(c) {
		_, _ = w.to.RoundTrip(r)
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return w.to.RoundTrip(r)
}

func (w *wire) reset(before func(int, call) error) []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls, w.before = nil, before
	return calls
}

// callOf tells what a request asks.
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

func (w *world) Clients() *ec2api.Clients { return ec2api.New(w.aws("us-east-1"), "") }

func (w *world) aws(region string) aws.Config {
	c := w.config(region)
	c.HTTPClient = &http.Client{Transport: &w.wire}
	return c
}

func (w *world) publisher() *publish.Publisher {
	return &publish.Publisher{
		Clients: w.Clients(), Interval: time.Millisecond, Patience: 20 * time.Millisecond,
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

// bucketOf is the name of a region's bucket in these tests.
func bucketOf(region string) string { return "templates-" + region }

func (w *world) makeBuckets(regions ...string) {
	w.Helper()
	for _, region := range regions {
		in := &s3.CreateBucketInput{Bucket: aws.String(bucketOf(region))}
		if region != "us-east-1" { // which S3 wants to be left out
			in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
		}
		_, err := w.Clients().S3(region, *in.Bucket).CreateBucket(w.Context(), in)
		w.must(err)
	}
}

// template is one with an image in each region; n makes it another one.
func template(n int, regions ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "AWSTemplateFormatVersion: '2010-09-09'\nDescription: number %d\nMappings:\n  AWSRegion2AMI:\n", n)
	for _, r := range regions {
		fmt.Fprintf(&b, "    %s:\n      AMI: %s\n", r, imageIn(r, n))
	}
	b.WriteString("Resources:\n  Handle:\n    Type: AWS::CloudFormation::WaitConditionHandle\nOutputs:\n  Image:\n    Value: !FindInMap [AWSRegion2AMI, !Ref AWS::Region, AMI]\n")
	return []byte(b.String())
}

// images are those that the worlds know, by the number of a template.
var images = map[int]string{}

// imagesIn are those of a world in which each region has its own.
var imagesIn map[string]map[int]string

func imageIn(region string, n int) string {
	if id, ok := imagesIn[region][n]; ok {
		return id
	}
	return imageOf(n)
}

func imageOf(n int) string {
	if id, ok := images[n]; ok {
		return id
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

// dieAt lets the process die at its n-th call, in a way.
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

// live undoes it.
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

// seen is all that others see of what is published: a line a thing.
func (w *world) seen(s publish.Spec, version string) string {
	w.Helper()
	before := w.wire.reset(nil)
	defer func() { w.wire.reset(nil); w.wire.calls = before }()
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	p := w.plan(s, template(1, s.S3.Regions...))
	ctx := context.Background()
	for _, at := range p.Places {
		out, err := w.Clients().S3(at.Region, at.Bucket).GetObject(ctx, &s3.GetObjectInput{Bucket: &at.Bucket, Key: &at.Latest})
		if err != nil {
			say("latest %s: %s", at.Region, ec2api.Code(err))
			continue
		}
		say("latest %s: %s number %s", at.Region, out.Metadata["ethminer-version"], out.Metadata["ethminer-number"])
		list, err := w.Clients().S3(at.Region, at.Bucket).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &at.Bucket})
		w.must(err)
		for _, o := range list.Contents {
			say("object %s: %s %d bytes", at.Region, *o.Key, *o.Size)
		}
		if s.SSM == nil {
			continue
		}
		for _, name := range []string{"/ethminer/ami", "/ethminer/" + version + "/ami"} {
			q, err := w.Clients().SSM(at.Region).GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
			if err != nil {
				say("parameter %s: %s %s", at.Region, name, ec2api.Code(err))
			} else {
				say("parameter %s: %s %s", at.Region, name, aws.ToString(q.Parameter.Value))
			}
		}
	}
	if s.StackSet != nil {
		api := w.Clients().CloudFormation(s.StackSet.Region)
		set, err := api.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: &s.StackSet.Name})
		if err != nil {
			say("set: %s", ec2api.Code(err))
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
