// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The resource that the documentation adds to a template is valid.
func TestDocumentedParameter(t *testing.T) {
	if _, err := exec.LookPath("cfn-lint"); err != nil {
		t.Skip("SKIPPED: needs cfn-lint")
	}
	page, err := os.ReadFile("../../docs/publish.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)  ```yaml\n(.*?)  ```").FindSubmatch(page)
	if found == nil {
		t.Fatal("docs/publish.md has no YAML block")
	}
	path := filepath.Join(t.TempDir(), "template.yaml")
	body := strings.ReplaceAll("\n"+string(found[1]), "\n  ", "\n") + "Mappings:\n  AWSRegion2AMI:\n    us-east-1:\n      AMI: ami-0123456789abcdef0\n"
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "cfn-lint", "--regions", "us-east-1", "--", path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
