// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// A read whose response ends early is sent again. Another request is not, as it may
// have succeeded.
func TestCutResponse(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		body := "<Response><regionInfo/></Response>"
		if requests.Add(1) == 1 {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			body = body[:20]
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	base := aws.Config{Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "secret"}, nil
	})}
	clients := awsclient.New(base, "")
	if err := regions(t.Context(), clients); err != nil || requests.Load() != 2 {
		t.Errorf("got %d requests and %v, want another after the cut response", requests.Load(), err)
	}
	requests.Store(0)
	_, err := clients.EC2("eu-west-1").DeleteKeyPair(t.Context(), &ec2.DeleteKeyPairInput{KeyName: aws.String("x")})
	if requests.Load() != 1 || !awsclient.IsUnanswered(err) {
		t.Errorf("got %d requests and %v, want one, unanswered", requests.Load(), err)
	}
}

// A cut response to the check of the credentials is no reason to fail.
func TestAccountDespiteCutResponse(t *testing.T) {
	cloud := rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret"})
	t.Cleanup(func() { _ = cloud.Close() })
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "<GetCallerIdentityResponse>")
			return
		}
		cloud.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	o := &awsclient.AccessConfig{AccessKey: "AKIATEST", SecretKey: "secret", RawRegion: "eu-west-1"}
	if _, err := awsclient.Account(t.Context(), o); err != nil || requests.Load() != 2 {
		t.Errorf("got %v after %d requests, want none after 2", err, requests.Load())
	}
}

// A request without a response is sent again.
func TestAttemptTimeout(t *testing.T) {
	cloud := rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret"})
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			select {
			case <-r.Context().Done():
			case <-t.Context().Done():
			}
			return
		}
		cloud.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		_ = cloud.Close()
	})
	base := cloud.AWSConfig("eu-west-1")
	base.BaseEndpoint, base.HTTPClient = &server.URL, nil
	clients := awsclient.New(base, "")
	begun := time.Now()
	if err := regions(awsclient.WithAttemptTimeout(t.Context(), 300*time.Millisecond), clients); err != nil {
		t.Error(err)
	}
	if requests.Load() != 2 || time.Since(begun) > 20*time.Second {
		t.Errorf("got %d requests in %s, want 2, long before the timeout of the connection", requests.Load(), time.Since(begun))
	}
}
