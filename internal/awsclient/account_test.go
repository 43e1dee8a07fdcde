// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"os"
	"strings"
	"testing"
)

// TestNoCredentials: the error begins with the places that were searched, and says what
// to do. The SDK's error of the last place is only in the log.
func TestNoCredentials(t *testing.T) {
	noCredentials(t)
	o := new(AccessConfig)
	o.RawRegion, o.SkipMetadataApiCheck = "eu-central-1", true
	_, err := Account(t.Context(), o)
	if err == nil || !strings.HasPrefix(err.Error(), "loading AWS credentials: found none in ") || !strings.Contains(err.Error(), "set profile or AWS_PROFILE, or set rehearsal = true") ||
		strings.Contains(err.Error(), "IMDS") {
		t.Errorf("got error %v", err)
	}
}

// TestNoProfile: the error names the option, and the command that lists the profiles.
func TestNoProfile(t *testing.T) {
	for _, option := range []string{"profile", "AWS_PROFILE"} {
		noCredentials(t)
		o := new(AccessConfig)
		o.RawRegion, o.SkipMetadataApiCheck = "eu-central-1", true
		if option == "profile" {
			o.ProfileName = "nosuch"
		} else {
			t.Setenv(option, "nosuch")
		}
		want := option + ": loading the credentials of \"nosuch\": no profile \"nosuch\" in the shared configuration files; `aws configure list-profiles` lists them"
		if _, err := Account(t.Context(), o); err == nil || err.Error() != want {
			t.Errorf("got error %v, want %s", err, want)
		}
	}
}

// noCredentials clears the environment of credentials.
func noCredentials(t *testing.T) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}
