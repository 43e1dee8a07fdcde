// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// All calls share one HTTP client, and so its connections: a handshake takes
// longer than many an answer.
func TestConnectionsAreShared(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<DescribeRegionsResponse/>"))
	}))
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
		clients := New(base, server.URL)
		used := map[ec2.HTTPClient]int{}
		for range 2 {
			for _, region := range []string{"us-east-1", "eu-west-1"} {
				_, err := clients.EC2(region).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{}, func(o *ec2.Options) { used[o.HTTPClient]++ })
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(used) != 1 {
			t.Errorf("%s: four calls used %d HTTP clients, want 1", name, len(used))
		}
	}
}
