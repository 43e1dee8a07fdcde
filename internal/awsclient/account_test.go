// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"os"
	"strings"
	"testing"
)

// TestNoCredentials: the error names the places that were searched, and what to do.
func TestNoCredentials(t *testing.T) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	o := new(AccessConfig)
	o.RawRegion, o.SkipMetadataApiCheck = "eu-central-1", true
	_, err := Account(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "loading AWS credentials: ") || !strings.Contains(err.Error(), "set profile or AWS_PROFILE, or set rehearsal = true") {
		t.Errorf("got error %v", err)
	}
}
