// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

// Package test holds what is true of the whole tool: each script in testdata
// runs the real Packer with the real plugin, against the AWS inside it.
package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// acceptance says that scripts may use the AWS account of the environment.
func acceptance() bool { return os.Getenv("PACKER_ACC") == "1" }

func TestScripts(t *testing.T) {
	build, packer := os.Getenv("ETHMINER_BUILD"), os.Getenv("PACKER")
	if build == "" || packer == "" {
		t.Skip("SKIPPED: needs the plugin and Packer: run `make test`, which builds them")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for key, value := range map[string]string{
				"PATH":               filepath.Dir(packer) + ":" + build + ":" + os.Getenv("PATH"),
				"PACKER_PLUGIN_PATH": filepath.Join(build, "plugins"),
				"PACKER_CONFIG_DIR":  filepath.Join(env.WorkDir, "packer-config"),
				"CHECKPOINT_DISABLE": "1",
				"PACKER_NO_COLOR":    "1",
				"ROOT":               root,
				"TMPDIR":             env.WorkDir,
			} {
				env.Setenv(key, value)
			}
			if acceptance() {
				for _, variable := range os.Environ() {
					if key, value, _ := strings.Cut(variable, "="); key == "HOME" || strings.HasPrefix(key, "AWS_") {
						env.Setenv(key, value)
					}
				}
			}
			return nil
		},
		Condition: func(condition string) (bool, error) {
			switch condition {
			case "root":
				return os.Getuid() == 0, nil
			case "acc":
				return acceptance(), nil
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
		},
	})
}

// onlyAMIs A B fails unless B is A with other image ids, in every row.
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
			ts.Fatalf("line %d differs in more than the image: %q, %q", i+1, before[i], after[i])
		}
	}
	if rows := len(ami.FindAllString(strings.Join(before, "\n"), -1)); changed != rows {
		ts.Fatalf("%d of %d images were replaced", changed, rows)
	}
}
