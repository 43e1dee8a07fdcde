// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// serve runs a rehearsal without machines and returns its session and folder.
func serve(t *testing.T) (*rehearsal.Session, string) {
	t.Helper()
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- rehearsal.Serve(ctx, rehearsal.Options{StateDir: folder, Instance: rehearsal.NoInstance, Latency: "instant"}, io.Discard)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for {
		if s, err := rehearsal.Find(ctx, folder); err == nil {
			return s, folder
		}
		select {
		case err := <-ended:
			ended <- nil
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestVerifyThroughClients checks images with real clients: those of a rehearsal,
// which ignore the user's environment, and those of a user who has set
// AWS_ENDPOINT_URL.
func TestVerifyThroughClients(t *testing.T) {
	for _, name := range []string{"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL_STS"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
	session, folder := serve(t)
	out, err := awsclient.New(session.AWSConfig("us-east-1"), "").EC2("us-east-1").DescribeImages(context.Background(), &ec2.DescribeImagesInput{})
	if err != nil || len(out.Images) == 0 {
		t.Fatalf("the rehearsal has no image: %v", err)
	}
	there := "us-east-1:" + *out.Images[0].ImageId
	missing := there + ",eu-west-1:" + amiB
	rehearsed := map[string]any{"ethminer.rehearsal": true, "ethminer.rehearsal_state": folder}
	for _, tt := range []struct {
		why, id  string
		endpoint string
		state    map[string]any
		err      string
	}{
		{why: "a rehearsal uses its own AWS, regardless of the environment", id: there, endpoint: "http://127.0.0.1:1", state: rehearsed},
		{why: "a rehearsal without the image", id: missing, endpoint: "http://127.0.0.1:1", state: rehearsed, err: amiB + " in eu-west-1: no such image is visible"},
		{why: "a rehearsal that is over", id: there, endpoint: session.Endpoint, state: map[string]any{"ethminer.rehearsal": true, "ethminer.rehearsal_state": t.TempDir()}, err: "no rehearsal is running"},
		{why: "the user's AWS, by AWS_ENDPOINT_URL", id: there, endpoint: session.Endpoint},
		{why: "the user's AWS without the image", id: missing, endpoint: session.Endpoint, err: "no such image is visible"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			t.Setenv("AWS_ENDPOINT_URL", tt.endpoint)
			s := newScene(t, template, map[string]any{"output": "DIR/out", "verify_amis": true,
				"access_key": session.AccessKey, "secret_key": session.SecretKey})
			_, err := s.run(t, source(tt.id, tt.state))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}
