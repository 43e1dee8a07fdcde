// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package mototest starts moto_server, an independent AWS simulator, as a reference
// (https://docs.getmoto.org). Only tests import it.
package mototest

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// Start runs a moto_server on loopback until the test ends, and returns the
// configuration of its clients in a region. It skips the test if moto_server is not
// installed.
func Start(t *testing.T, region string) aws.Config {
	t.Helper()
	if _, err := exec.LookPath("moto_server"); err != nil {
		t.Skip("SKIPPED: needs moto_server as a reference")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	server := exec.Command("moto_server", "-H", "127.0.0.1", "-p", port)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	endpoint := "http://127.0.0.1:" + port
	wait := poll.Waiter{Interval: 50 * time.Millisecond, Fixed: true, Timeout: time.Minute}
	if err := wait.Until(t.Context(), "moto_server", func(context.Context) (bool, error) {
		r, err := http.Get(endpoint + "/moto-api/")
		if err != nil {
			return false, nil //nolint:nilerr // not started yet
		}
		return true, r.Body.Close()
	}); err != nil {
		t.Fatal(err)
	}
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}
}

// Env makes the AWS SDK of this process use the endpoint, and no settings of the
// user, during a test.
func Env(t *testing.T, endpoint string) {
	t.Helper()
	for _, name := range []string{"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_STS"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
	t.Setenv("AWS_ENDPOINT_URL", endpoint)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_REGION", "us-east-1")
}
