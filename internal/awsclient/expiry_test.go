// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	awscommon "github.com/hashicorp/packer-plugin-amazon/common"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	file := filepath.Join(t.TempDir(), "credentials")
	content := "[saml]\naws_session_token = T\nx_security_token_expires = 2026-11-28T13:00:00Z\n\n[keys]\nexpiration = 2026-11-28T13:00:00Z\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	session := map[string]string{"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SESSION_TOKEN": "T", "AWS_CREDENTIAL_EXPIRATION": "2026-11-28T13:00:00Z"}
	for name, test := range map[string]struct {
		env    map[string]string
		config awsclient.AccessConfig
		want   string // the source; empty for unknown
	}{
		"nothing configured":           {},
		"environment":                  {env: session, want: "AWS_CREDENTIAL_EXPIRATION"},
		"environment, no token":        {env: map[string]string{"AWS_ACCESS_KEY_ID": "AKIA", "AWS_CREDENTIAL_EXPIRATION": "2026-11-28T13:00:00Z"}},
		"environment, no expiry":       {env: map[string]string{"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SESSION_TOKEN": "T"}},
		"options beat the environment": {env: session, config: awsclient.AccessConfig{AccessKey: "ASIA", Token: "T"}},
		"profile":                      {config: awsclient.AccessConfig{ProfileName: "saml"}, want: "profile saml, x_security_token_expires"},
		"profile of the environment":   {env: map[string]string{"AWS_PROFILE": "saml"}, want: "profile saml, x_security_token_expires"},
		"profile without a token":      {config: awsclient.AccessConfig{ProfileName: "keys"}},
		"vault with a ttl":             {env: session, config: awsclient.AccessConfig{VaultAWSEngine: awscommon.VaultAWSEngineOptions{RoleARN: "arn", TTL: "1h"}}, want: "vault_aws_engine, ttl"},
		"vault without one":            {env: session, config: awsclient.AccessConfig{VaultAWSEngine: awscommon.VaultAWSEngineOptions{Name: "builder"}}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_EXPIRATION", "AWS_PROFILE"} {
				t.Setenv(variable, test.env[variable])
			}
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
			at, source := awsclient.Expiry(&test.config, now)
			if source != test.want || at.IsZero() != (test.want == "") || test.want != "" && !at.Equal(now.Add(time.Hour)) {
				t.Errorf("got %s from %q, want %q", at, source, test.want)
			}
		})
	}
}
