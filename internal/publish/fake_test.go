// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// fake is S3, SSM and a stack set in memory, with what the protocol of publishing rests on:
// conditional writes, checksums, and parameters that SSM takes a moment to look
// at. It is quick enough to be killed at every call; moto judges the rest.
type fake struct {
	mu             sync.Mutex
	buckets        map[string]string // name: region
	objects        map[string]object // bucket/key
	parameters     map[string]*parameter
	set            *fakeSet
	operationTakes int           // looks
	looks          int           // how often a new parameter is not there yet
	latency        time.Duration // of every call
}

type object struct {
	body []byte
	meta http.Header
}

type parameter struct {
	value, dataType string
	version, hidden int
	old             *parameter
}

func newFake(t *testing.T, regions ...string) (*world, *fake) {
	f := &fake{buckets: map[string]string{}, objects: map[string]object{}, parameters: map[string]*parameter{}, looks: 1}
	for _, r := range regions {
		f.buckets[bucketOf(r)] = r
	}
	w := &world{T: t, wire: wire{to: f}}
	w.config = func(region string) aws.Config {
		return aws.Config{
			Region: region, BaseEndpoint: aws.String("http://fake.invalid"), RetryMaxAttempts: 1,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
			}),
		}
	}
	return w, f
}

func etag(body []byte) string { return fmt.Sprintf(`"%x"`, sha256.Sum256(body)) }

// answer is a response of a service.
func answer(r *http.Request, status int, header http.Header, body []byte) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// refuse is an error as S3, CloudFormation, or a service that speaks JSON answers.
func refuse(r *http.Request, status int, code, message string) *http.Response {
	if r.Header.Get("X-Amz-Target") != "" {
		return answer(r, status, nil, []byte(fmt.Sprintf(`{"__type":%q,"message":%q}`, code, message)))
	}
	if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		return answer(r, status, nil, []byte("<ErrorResponse><Error><Type>Sender</Type><Code>"+code+"</Code><Message>"+message+"</Message></Error></ErrorResponse>"))
	}
	return answer(r, status, nil, []byte("<Error><Code>"+code+"</Code><Message>"+message+"</Message></Error>"))
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.latency > 0 {
		time.Sleep(f.latency)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	c := callOf(r)
	body := []byte{}
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.service == "ssm" {
		return f.ssm(r, c, body), nil
	}
	if c.service == "cloudformation" {
		return f.cloudformation(r, body), nil
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch where, ok := f.buckets[bucket]; {
	case !ok:
		return refuse(r, 404, "NoSuchBucket", "The specified bucket does not exist"), nil
	case where != c.region:
		out := refuse(r, 301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.")
		out.Header.Set("x-amz-bucket-region", where)
		return out, nil
	}
	name := bucket + "/" + key
	now, there := f.objects[name]
	switch {
	case r.Method == http.MethodGet && key == "":
		return f.list(r, bucket), nil
	case r.Method == http.MethodGet && !there:
		return refuse(r, 404, "NoSuchKey", "The specified key does not exist."), nil
	case r.Method == http.MethodGet:
		h := now.meta.Clone()
		h.Set("ETag", etag(now.body))
		return answer(r, 200, h, now.body), nil
	case r.Method == http.MethodPost: // ?delete
		var in struct {
			Objects []struct{ Key string } `xml:"Object"`
		}
		_ = xml.Unmarshal(body, &in)
		for _, o := range in.Objects {
			delete(f.objects, bucket+"/"+o.Key)
		}
		return answer(r, 200, nil, []byte("<DeleteResult/>")), nil
	}
	sum := sha256.Sum256(body)
	switch match := r.Header.Get("If-Match"); {
	case r.Header.Get("X-Amz-Checksum-Sha256") != base64.StdEncoding.EncodeToString(sum[:]):
		return refuse(r, 400, "BadDigest", "The SHA256 you specified did not match the calculated checksum."), nil
	case match != "" && !there:
		return refuse(r, 404, "NoSuchKey", "The specified key does not exist."), nil
	case match != "" && match != etag(now.body), r.Header.Get("If-None-Match") == "*" && there:
		return refuse(r, 412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"), nil
	}
	meta := http.Header{}
	for k, v := range r.Header {
		if strings.HasPrefix(k, "X-Amz-Meta-") {
			meta[k] = v
		}
	}
	f.objects[name] = object{body, meta}
	return answer(r, 200, http.Header{"Etag": {etag(body)}}, nil), nil
}

func (f *fake) list(r *http.Request, bucket string) *http.Response {
	var b strings.Builder
	b.WriteString("<ListBucketResult>")
	var names []string
	for name := range f.objects {
		if key, ok := strings.CutPrefix(name, bucket+"/"); ok && strings.HasPrefix(key, r.URL.Query().Get("prefix")) {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	for _, key := range names {
		fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>%d</Size><LastModified>2030-01-02T03:04:05Z</LastModified></Contents>", key, len(f.objects[bucket+"/"+key].body))
	}
	b.WriteString("</ListBucketResult>")
	return answer(r, 200, nil, []byte(b.String()))
}

func (f *fake) ssm(r *http.Request, c call, body []byte) *http.Response {
	var in struct {
		Name, Value, DataType string
		Overwrite             bool
	}
	_ = json.Unmarshal(body, &in)
	name := c.region + in.Name
	now := f.parameters[name]
	if c.action == "PutParameter" {
		next := &parameter{in.Value, in.DataType, 1, f.looks, nil}
		if now != nil {
			if !in.Overwrite {
				return refuse(r, 400, "ParameterAlreadyExists", "The parameter already exists.")
			}
			next.version, next.old = now.version+1, now
		}
		f.parameters[name] = next
		return answer(r, 200, nil, []byte(fmt.Sprintf(`{"Version":%d,"Tier":"Standard"}`, next.version)))
	}
	for now != nil && now.hidden > 0 { // SSM is still looking at the image
		now.hidden--
		now = now.old
	}
	if now == nil {
		return refuse(r, 400, "ParameterNotFound", "")
	}
	return answer(r, 200, nil, []byte(fmt.Sprintf(`{"Parameter":{"Name":%q,"Value":%q,"DataType":%q,"Version":%d,"Type":"String"}}`, in.Name, now.value, now.dataType, now.version)))
}
