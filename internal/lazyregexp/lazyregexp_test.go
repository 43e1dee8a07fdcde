// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package lazyregexp_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

func TestCompilesAtFirstUse(t *testing.T) {
	broken := lazyregexp.New("(") // does not panic yet
	defer func() {
		if recover() == nil {
			t.Error("got a match of an invalid expression, want a panic")
		}
	}()
	if !lazyregexp.New("^a+$").MatchString("aaa") {
		t.Error("got no match of aaa")
	}
	broken.MatchString("")
}

// TestNoPackageCompilesAtStart: no package compiles a regular expression at start-up.
func TestNoPackageCompilesAtStart(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{range .GoFiles}}{{$.Dir}}/{{.}}\n{{end}}", "../../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	eager := regexp.MustCompile(`(?m)^(var )?\t?\w+ *= regexp\.MustCompile|^\tregexp\.MustCompile`)
	for _, file := range strings.Fields(string(out)) {
		if strings.Contains(file, "/tools/") || strings.Contains(file, "/test/faults/") || strings.Contains(file, "/lazyregexp/") { // not in the plugin
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := eager.FindString(string(text)); found != "" {
			t.Errorf("%s: %q: use lazyregexp.New", filepath.Base(file), found)
		}
	}
}
