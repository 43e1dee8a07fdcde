// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/eth-mining/packer-plugin-ethminer/internal/redact"
)

// TestSessionTokenIsRedacted: packer-plugin-amazon logs the response of StartSession.
func TestSessionTokenIsRedacted(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"SessionId": "s-1", "StreamUrl": "wss://example.com", "TokenValue": "token+of/s-1="}`))
	}))
	defer server.Close()
	clients := New(aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "secret"}, nil
		}),
	}, "")
	// As packer-plugin-amazon creates its client.
	out, err := ssm.NewFromConfig(*clients.Config()).StartSession(t.Context(), &ssm.StartSessionInput{Target: aws.String("i-1")})
	if err != nil {
		t.Fatal(err)
	}
	if got := redact.String("Executing: " + *out.TokenValue); got != "Executing: "+redact.Shown {
		t.Errorf("got the log line %q", got)
	}
}
