// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// script writes the completion script for a shell, and returns its path.
func script(t *testing.T, shell string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t, "completion", []string{shell}, streams{out: &out, err: &errs}); code != exitOK {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	path := filepath.Join(t.TempDir(), shell)
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBashCompletion asks a real bash, in each position, what it completes.
func TestBashCompletion(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("SKIPPED: needs bash")
	}
	path := script(t, "bash")
	ask := func(words ...string) []string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "bash", append([]string{"--norc", "-eu", "-c", `
set +e +u; source "$0"; set -eu
COMP_WORDS=(packer-plugin-ethminer "$@") COMP_CWORD=$#
_packer_plugin_ethminer
printf '%s\n' "${COMPREPLY[@]}"`, path}, words...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", words, err, out)
		}
		return strings.Fields(string(out))
	}
	every(program(), nil, func(names []string, v verb) {
		at := names[:len(names):len(names)]
		if got := ask(append(at, "")...); !slices.Equal(got, v.names()) {
			t.Errorf("%q: got %q, want %q", names, got, v.names())
		}
		want := []string{"--help"}
		if v.options != nil {
			want = nil
			v.shown().VisitAll(func(o *flag.Flag) { want = append(want, "--"+o.Name) })
			want = append(want, "--help")
		}
		if got := ask(append(at, "--")...); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", names, got, want)
		}
	})
	for _, tt := range []struct{ words, want string }{
		{"pub", "publish"},
		{"publish r", "rollback run"},
		{"map get T -m", "-mapping"},
		{"map get T --mapp", "--mapping"},
		{"map set T -stale-regions ", "keep fail remove"},
		{"sweep --all-regions -o j", "json"},
		{"map get some", ""}, // bash completes file names
		{"nope ", ""},
	} {
		if got := strings.Join(ask(strings.Split(tt.words, " ")...), " "); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.words, got, tt.want)
		}
	}
}

// TestOtherCompletions: zsh and fish accept their scripts, which have every verb and
// option.
func TestOtherCompletions(t *testing.T) {
	for _, shell := range []string{"fish", "zsh"} {
		t.Run(shell, func(t *testing.T) {
			path := script(t, shell)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			every(program(), nil, func(names []string, v verb) {
				if !strings.Contains(string(text), strings.Join(names, " ")) {
					t.Errorf("%q is missing", names)
				}
				if v.options != nil {
					v.shown().VisitAll(func(o *flag.Flag) {
						if !strings.Contains(string(text), o.Name) {
							t.Errorf("-%s is missing", o.Name)
						}
					})
				}
			})
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip("SKIPPED: needs " + shell + " to check the syntax of its script")
			}
			if out, err := exec.CommandContext(t.Context(), shell, "-n", path).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
