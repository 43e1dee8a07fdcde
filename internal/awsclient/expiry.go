// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"bufio"
	"cmp"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
)

// Expiry returns when the configured credentials expire and where that is stated,
// for session tokens that nothing refreshes. It is zero if the expiry is unknown, or
// if the source refreshes its credentials by itself: a role, IAM Identity Center,
// credential_process, a container or an instance.
func Expiry(o *AccessConfig, now time.Time) (at time.Time, source string) {
	vault := o.VaultAWSEngine
	switch {
	case vault.RoleARN != "":
		ttl, err := time.ParseDuration(vault.TTL)
		if err != nil || ttl <= 0 {
			return time.Time{}, ""
		}
		return now.Add(ttl), "vault_aws_engine, ttl"
	case !Access(o).VaultAWSEngine.Empty(), o.AccessKey != "":
		return time.Time{}, ""
	case o.ProfileName == "" && os.Getenv("AWS_ACCESS_KEY_ID") != "":
		for _, name := range []string{"AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_EXPIRATION"} {
			if at, err := time.Parse(time.RFC3339, os.Getenv(name)); err == nil && os.Getenv("AWS_SESSION_TOKEN") != "" {
				return at, name
			}
		}
		return time.Time{}, ""
	}
	profile := cmp.Or(o.ProfileName, os.Getenv("AWS_PROFILE"), "default")
	file := cmp.Or(o.CredsFilename, os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), config.DefaultSharedCredentialsFilename())
	section := readSection(file, profile)
	if section["aws_session_token"] == "" {
		return time.Time{}, ""
	}
	// The names that tools write beside a session token; the SDK reads none of them.
	for _, name := range []string{"x_security_token_expires", "aws_expiration", "expiration"} {
		if at, err := time.Parse(time.RFC3339, section[name]); err == nil {
			return at, "profile " + profile + ", " + name
		}
	}
	return time.Time{}, ""
}

// readSection returns the settings of a section of a credentials file; none if it
// cannot be read.
func readSection(file, name string) map[string]string {
	settings := map[string]string{}
	f, err := os.Open(file) //nolint:gosec // the user's credentials file
	if err != nil {
		return settings
	}
	defer f.Close() //nolint:errcheck // only read
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			inside = strings.Trim(line, "[] \t") == name
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && inside {
			settings[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return settings
}
