// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package remote

import (
	"os/exec"
	"strings"
	"testing"
)

// TestQuote passes every word through a shell.
func TestQuote(t *testing.T) {
	words := []string{
		"", " ", "plain", "two words", "it's", `"double"`, `'`, `''`, `back\slash`, `\`, `\'`,
		"$(touch /tmp/never)", "`id`", "$HOME", "${x}", "a\nb", "\n", "tab\there", "-n", "--", "*", "~", "#no", "a;b", "a&b", "a|b", "a>b",
		"<unknown>", "é☃", "\xff\xfe", "!history", "=", "x=y",
	}
	for _, shell := range []string{"sh", "dash", "bash"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			if shell == "sh" {
				t.Skip("SKIPPED: needs sh: " + err.Error())
			}
			continue
		}
		out, err := exec.Command(path, "-c", commandLine(append([]string{"printf", "%s\x01"}, words...)...)).Output()
		if err != nil {
			t.Fatalf("%s: %v", shell, err)
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\x01"), "\x01")
		if len(got) != len(words) {
			t.Fatalf("%s: got %d words, want %d: %q", shell, len(got), len(words), got)
		}
		for i := range words {
			if got[i] != words[i] {
				t.Errorf("%s: %q: got %q", shell, words[i], got[i])
			}
		}
	}
}
