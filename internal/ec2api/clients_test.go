// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2api

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// A connection is made once, and not for each call: a handshake takes longer
// than many an answer.
func TestConnectionsAreKept(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
	var made atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<DescribeRegionsResponse/>"))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			made.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	key := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "secret"}, nil
	})
	loaded, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"), config.WithCredentialsProvider(key))
	if err != nil {
		t.Fatal(err)
	}
	for name, base := range map[string]aws.Config{
		"loaded": loaded,
		"bare":   {Region: "us-east-1", Credentials: key},
	} {
		made.Store(0)
		clients := New(base, server.URL)
		for range 5 {
			for _, region := range []string{"us-east-1", "eu-west-1"} {
				if _, err := clients.EC2(region).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := made.Load(); n != 1 {
			t.Errorf("%s: ten calls one after another made %d connections, want 1", name, n)
		}
	}
}
