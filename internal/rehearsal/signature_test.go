// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	sdks3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	sdkssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	sdksts "github.com/aws/aws-sdk-go-v2/service/sts"
)

// changed is a client whose requests change after they were signed.
type changed struct {
	to     http.RoundTripper
	change func(*http.Request)
}

func (c changed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	c.change(r)
	return c.to.RoundTrip(r)
}

// newBody replaces a part of a request's body with one of the same length.
func newBody(from, to string) func(*http.Request) {
	return func(r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(body, []byte(from), []byte(to))))
	}
}

// A request needs the signature of the session's secret key, over its method, path,
// query, headers and body.
func TestSignature(t *testing.T) {
	l := &lab{T: t, server: New(Config{})}
	const region = "eu-central-1"
	config := func(secret string, change func(*http.Request)) aws.Config {
		cfg := l.server.AWSConfig(region)
		cfg.RetryMaxAttempts = 1
		if secret != "" {
			cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: l.server.cfg.AccessKey, SecretAccessKey: secret}, nil
			})
		}
		if change != nil {
			cfg.HTTPClient = &http.Client{Transport: changed{inProcess{l.server}, change}}
		}
		return cfg
	}
	path := func(o *sdks3.Options) { o.UsePathStyle = true }
	calls := map[string]func(aws.Config) error{
		"ec2": func(c aws.Config) error {
			_, err := sdkec2.NewFromConfig(c).DescribeImages(t.Context(), &sdkec2.DescribeImagesInput{Owners: []string{"self"}})
			return err
		},
		"sts": func(c aws.Config) error {
			_, err := sdksts.NewFromConfig(c).GetCallerIdentity(t.Context(), nil)
			return err
		},
		"ssm": func(c aws.Config) error {
			_, err := sdkssm.NewFromConfig(c).PutParameter(t.Context(), &sdkssm.PutParameterInput{Name: aws.String("/a/b"), Value: aws.String("x"), Type: "String", Overwrite: aws.Bool(true)})
			return err
		},
		"s3": func(c aws.Config) error {
			_, err := sdks3.NewFromConfig(c, path).PutObject(t.Context(), &sdks3.PutObjectInput{Bucket: aws.String("b-1"), Key: aws.String("a b+c/é~'(1)"), Body: strings.NewReader("old text")})
			return err
		},
	}
	_, err := sdks3.NewFromConfig(config("", nil), path).CreateBucket(t.Context(), &sdks3.CreateBucketInput{
		Bucket: aws.String("b-1"), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: region},
	})
	if err != nil {
		t.Fatal(err)
	}
	const mismatch, mismatchJSON = "SignatureDoesNotMatch", "InvalidSignatureException"
	for _, test := range []struct {
		name, service, secret string
		change                func(*http.Request)
		code                  string // "" if the request is accepted
	}{
		{"signed", "ec2", "", nil, ""},
		{"signed", "sts", "", nil, ""},
		{"signed", "ssm", "", nil, ""},
		{"signed", "s3", "", nil, ""},
		{"another secret key", "ec2", "other", nil, "AuthFailure"},
		{"another secret key", "sts", "other", nil, mismatch},
		{"another secret key", "ssm", "other", nil, mismatchJSON},
		{"another secret key", "s3", "other", nil, mismatch},
		{"another body", "ec2", "", newBody("self", "this"), "AuthFailure"},
		{"another body", "ssm", "", newBody("String", "Strinh"), mismatchJSON},
		{"another body", "s3", "", newBody("old", "new"), "XAmzContentSHA256Mismatch"},
		{"another path", "s3", "", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/b-1/other", "" }, mismatch},
		{"another query", "s3", "", func(r *http.Request) { r.URL.RawQuery += "&acl" }, mismatch},
		{"another method", "s3", "", func(r *http.Request) { r.Method = http.MethodDelete }, mismatch},
		{"another action", "ssm", "", func(r *http.Request) { r.Header.Set("X-Amz-Target", "AmazonSSM.DeleteParameter") }, mismatchJSON},
		{"another region", "ec2", "", func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), region, "us-west-1", 1))
		}, "AuthFailure"},
		{"another host", "sts", "", func(r *http.Request) { r.Host = "evil.example" }, mismatch},
		{"no signature", "ec2", "", func(r *http.Request) { r.Header.Del("Authorization") }, "MissingAuthenticationToken"},
		{"an empty signature", "sts", "", func(r *http.Request) {
			text, _, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
			r.Header.Set("Authorization", text+"Signature=")
		}, mismatch},
		{"no signed headers", "sts", "", func(r *http.Request) {
			text := r.Header.Get("Authorization")
			from := strings.Index(text, "SignedHeaders=")
			r.Header.Set("Authorization", text[:from]+text[strings.LastIndex(text, "Signature="):])
		}, mismatch},
	} {
		t.Run(test.service+" "+test.name, func(t *testing.T) {
			err := calls[test.service](config(test.secret, test.change))
			if test.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			l.wantCode(err, test.code)
		})
	}
}

// A presigned URL is valid for its object only.
func TestPresignedURL(t *testing.T) {
	l := &lab{T: t, server: New(Config{})}
	client := sdks3.NewFromConfig(l.server.AWSConfig("us-east-1"), func(o *sdks3.Options) { o.UsePathStyle = true })
	must[*sdks3.CreateBucketOutput](l)(client.CreateBucket(t.Context(), &sdks3.CreateBucketInput{Bucket: aws.String("b-1")}))
	for _, key := range []string{"one", "two"} {
		must[*sdks3.PutObjectOutput](l)(client.PutObject(t.Context(), &sdks3.PutObjectInput{Bucket: aws.String("b-1"), Key: aws.String(key), Body: strings.NewReader(key)}))
	}
	signed, err := sdks3.NewPresignClient(client).PresignGetObject(t.Context(), &sdks3.GetObjectInput{Bucket: aws.String("b-1"), Key: aws.String("one")})
	if err != nil {
		t.Fatal(err)
	}
	get := func(address string) int {
		w := httptest.NewRecorder()
		l.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, address, nil))
		return w.Code
	}
	if got := get(signed.URL); got != http.StatusOK {
		t.Errorf("got %d", got)
	}
	if got := get(strings.Replace(signed.URL, "/one", "/two", 1)); got != http.StatusForbidden {
		t.Errorf("another object: got %d, want 403", got)
	}
}

// The server listens on loopback only, and refuses other hosts' names and requests
// without its secret.
func TestServerAccess(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, Options{StateDir: dir, Instance: NoInstance, Latency: "instant"}, io.Discard)
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	var session *Session
	for end := time.Now().Add(20 * time.Second); session == nil; time.Sleep(20 * time.Millisecond) {
		session, _ = Find(t.Context(), dir)
		if time.Now().After(end) {
			t.Fatal("the server did not start")
		}
	}
	at, err := url.Parse(session.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.IsLoopback() || n.IP.IsLinkLocalUnicast() {
			continue
		}
		if c, err := net.DialTimeout("tcp", net.JoinHostPort(n.IP.String(), at.Port()), time.Second); err == nil {
			_ = c.Close()
			t.Errorf("the server listens on %s", n.IP)
		}
	}
	for _, test := range []struct {
		path, host, secret string
		want               int
	}{
		{"/_rehearsal/session", "", session.SecretKey, http.StatusOK},
		{"/_rehearsal/session", "localhost:" + at.Port(), session.SecretKey, http.StatusOK},
		{"/_rehearsal/session", "[::1]:" + at.Port(), session.SecretKey, http.StatusOK},
		{"/_rehearsal/session", "evil.example", session.SecretKey, http.StatusMisdirectedRequest},
		{"/_rehearsal/session", "127.0.0.1.evil.example:" + at.Port(), session.SecretKey, http.StatusMisdirectedRequest},
		{"/_rehearsal/session", "localhost.evil.example", session.SecretKey, http.StatusMisdirectedRequest},
		{"/", "evil.example", "", http.StatusMisdirectedRequest},
		{"/_rehearsal/sessions/x", "evil.example", "", http.StatusMisdirectedRequest},
		{"/_rehearsal/session", "", "", http.StatusForbidden},
		{"/_rehearsal/session", "", session.SecretKey + "x", http.StatusForbidden},
		{"/_rehearsal/session", "", session.AccessKey, http.StatusForbidden},
		{"/_rehearsal/inventory", "", "", http.StatusForbidden},
		{"/_rehearsal/calls", "", "", http.StatusForbidden},
		{"/_rehearsal/faults", "", "", http.StatusForbidden},
		{"/_rehearsal/owner", "", "", http.StatusForbidden},
		{"/_rehearsal/stop", "", "", http.StatusForbidden},
		{"/_rehearsal/sessions/x", "", session.SecretKey, http.StatusForbidden},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, session.Endpoint+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = test.host
		if test.secret != "" {
			r.Header.Set(secretHeader, test.secret)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != test.want {
			t.Errorf("%s with Host %q and secret %q: got %s, want %d", test.path, test.host, test.secret, resp.Status, test.want)
		}
	}
	info, err := os.Stat(filepath.Join(dir, sessionFile))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		t.Errorf("%s has the mode %o, want 600", sessionFile, mode)
	}
}
