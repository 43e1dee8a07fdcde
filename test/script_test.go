// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

// Package test tests the whole plugin: each script in testdata runs Packer with the
// plugin against the simulated AWS.
package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestScripts(t *testing.T) {
	build, packer := os.Getenv("ETHMINER_BUILD"), os.Getenv("PACKER")
	if build == "" || packer == "" {
		t.Skip("SKIPPED: requires the plugin and Packer; run: make test")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROOT", root)
			for key, value := range toolEnv(build, packer, env.WorkDir) {
				env.Setenv(key, value)
			}
			return nil
		},
		Condition: func(condition string) (bool, error) {
			switch condition {
			case "root":
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":     await,
			"interrupt": interrupt,
			"kill9":     kill9,
			"fault":     fault,
			"onlyamis":  onlyAMIs,
			"count":     count,
			"secrets":   secrets,
			"mine":      mine,
			"processes": processes,
		},
	})
}

// toolEnv returns the environment in which Packer finds the plugin and writes only to
// one folder.
func toolEnv(build, packer, work string) map[string]string {
	return map[string]string{
		"PATH":               filepath.Dir(packer) + ":" + build + ":" + os.Getenv("PATH"),
		"PACKER_PLUGIN_PATH": filepath.Join(build, "plugins"),
		"PACKER_CONFIG_DIR":  filepath.Join(work, "packer-config"),
		"CHECKPOINT_DISABLE": "1",
		"PACKER_NO_COLOR":    "1",
		"TMPDIR":             work,
	}
}

// onlyAMIs A B fails unless B is A with another image id in every row.
func onlyAMIs(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: onlyamis BEFORE AFTER")
	}
	before := strings.Split(ts.ReadFile(args[0]), "\n")
	after := strings.Split(ts.ReadFile(args[1]), "\n")
	if len(before) != len(after) {
		ts.Fatalf("%s has %d lines, %s has %d", args[0], len(before), args[1], len(after))
	}
	changed := 0
	for i := range before {
		if before[i] == after[i] {
			continue
		}
		changed++
		if ami.ReplaceAllString(before[i], "") != ami.ReplaceAllString(after[i], "") {
			ts.Fatalf("line %d differs in more than the image id: %q, %q", i+1, before[i], after[i])
		}
	}
	if rows := len(ami.FindAllString(strings.Join(before, "\n"), -1)); changed != rows {
		ts.Fatalf("%d of %d images were replaced", changed, rows)
	}
}
