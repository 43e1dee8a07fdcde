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

func TestCompiledAtItsFirstUse(t *testing.T) {
	broken := lazyregexp.New("(") // no panic yet
	defer func() {
		if recover() == nil {
			t.Error("an expression that is wrong matches")
		}
	}()
	if !lazyregexp.New("^a+$").MatchString("aaa") {
		t.Error("aaa is not matched")
	}
	broken.MatchString("")
}

// Nobody compiles one when the plugin starts.
func TestNoneIsCompiledAtStart(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{range .GoFiles}}{{$.Dir}}/{{.}}\n{{end}}", "../../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	eager := regexp.MustCompile(`(?m)^(var )?\t?\w+ *= regexp\.MustCompile|^\tregexp\.MustCompile`)
	for _, file := range strings.Fields(string(out)) {
		if strings.Contains(file, "/tools/") || strings.Contains(file, "/lazyregexp/") {
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
