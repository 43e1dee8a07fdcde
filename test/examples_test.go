// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// example is a configuration from the documentation of amazon-ebs. Its name is the
// file and its number in the file.
type example struct{ name, ext, text string }

const winrm = `communicator: got "winrm", want`

// notHere lists the examples that do not validate with ethminer-ami, and the error.
// docs/amazon-ebs.md lists those that validate with amazon-ebs.
var notHere = map[string]string{
	"ebs.mdx 13": winrm,
	"ebs.mdx 12": winrm,
	// These do not validate with amazon-ebs either: they are incomplete or wrong.
	"ebs.mdx 8":                     "There is no closing brace",
	"RunConfig-not-required.mdx 5":  "An ssh_username must be specified",
	"RunConfig-not-required.mdx 9":  `Did you mean to define a block of type "license_configuration_request"?`,
	"RunConfig-not-required.mdx 11": `Did you mean to define a block of type "placement"?`,
	"aws-session-manager.mdx 2":     "no iam_instance_profile defined", // it uses a variable that it does not declare
}

var (
	include = regexp.MustCompile(`(?m)^@include '([^']+)'`)
	fence   = regexp.MustCompile("(?ms)^[ \t]*```(hcl|HCL|json)\n(.*?)^[ \t]*```")
	sources = regexp.MustCompile(`(?m)^\s*source "amazon-ebs" "([^"]+)"`)
	uses    = regexp.MustCompile(`\bvar\.(\w+)`)
	plain   = regexp.MustCompile(`\s+`)
)

// examples reads the examples of the packer-plugin-amazon version in go.mod.
func examples(t *testing.T) []example {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/hashicorp/packer-plugin-amazon").Output()
	if err != nil {
		t.Fatal(err)
	}
	module := strings.TrimSpace(string(out))
	pages := []string{filepath.Join(module, "docs/builders/ebs.mdx")}
	page, err := os.ReadFile(pages[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, partial := range include.FindAllStringSubmatch(string(page), -1) {
		pages = append(pages, filepath.Join(module, "docs-partials", partial[1]))
	}
	var all []example
	for _, file := range pages {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a partial of the SDK
		}
		for n, block := range fence.FindAllStringSubmatch(string(text), -1) {
			ext := strings.ToLower(block[1])
			// Incomplete JSON is skipped, since it cannot be completed like HCL.
			if strings.Contains(block[2], "amazon-ebs") && (ext != "json" || json.Valid([]byte(block[2]))) {
				// The placeholder for the account id is not a valid account id.
				text := strings.ReplaceAll(block[2], "ACCOUNT_ID", "111122223333")
				all = append(all, example{fmt.Sprintf("%s %d", filepath.Base(file), n+1), ext, text})
			}
		}
	}
	files, _ := filepath.Glob(filepath.Join(module, "example/*"))
	more, _ := filepath.Glob(filepath.Join(module, "example/*/*"))
	for _, file := range append(files, more...) {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), "amazon-ebs") {
			ext := strings.TrimPrefix(filepath.Ext(file), ".")
			all = append(all, example{filepath.Base(file), ext, string(text)})
		}
	}
	return all
}

// validate runs `packer validate` on an example with another source type, and returns
// the output and whether it succeeded. It adds a build and variable declarations to
// an incomplete example.
func (e example) validate(t *testing.T, packer, plugins, kind string) (string, bool) {
	t.Helper()
	folder := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "amazon-ebs", kind)), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	what := folder
	if e.ext == "json" {
		what = write("example.json", e.text)
	} else {
		write("example.pkr.hcl", e.text)
		var around strings.Builder
		for _, found := range sources.FindAllStringSubmatch(e.text, -1) {
			if !strings.Contains(e.text, "build {") {
				fmt.Fprintf(&around, "build {\n  sources = [\"source.amazon-ebs.%s\"]\n}\n", found[1])
			}
		}
		var declared []string
		for _, found := range uses.FindAllStringSubmatch(e.text, -1) {
			if name := found[1]; !slices.Contains(declared, name) && !strings.Contains(e.text, `variable "`+name+`"`) {
				declared = append(declared, name)
				fmt.Fprintf(&around, "variable %q {\n  default = \"host\"\n}\n", name)
			}
		}
		write("around.pkr.hcl", around.String())
	}
	command := exec.Command(packer, "validate", what)
	command.Env = append(os.Environ(), "PACKER_PLUGIN_PATH="+plugins, "PACKER_CONFIG_DIR="+folder, "CHECKPOINT_DISABLE=1", "PACKER_NO_COLOR=1", "HOME="+folder,
		"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=zz-secret-zz", "PKR_VAR_aws_access_key=AKIA", "PKR_VAR_aws_secret_key=zz-secret-zz")
	out, err := command.CombinedOutput()
	return plain.ReplaceAllString(string(out), " "), err == nil
}

func TestExamplesOfAmazonEBS(t *testing.T) {
	build, packer := os.Getenv("ETHMINER_BUILD"), os.Getenv("PACKER")
	if build == "" || packer == "" {
		t.Skip("SKIPPED: requires the plugin and Packer; run: make test")
	}
	plugins, peers := filepath.Join(build, "plugins"), os.Getenv("ETHMINER_PEERS")
	if peers != "" {
		plugins = peers
	}
	tried := 0
	for _, e := range examples(t) {
		if peers == "" && (strings.Contains(e.text, `data "amazon-`) || strings.Contains(e.text, "hashicorp/amazon")) {
			t.Logf("%s is tested by `make test-peers`: it uses another component of the amazon plugin", e.name)
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			tried++
			said, ok := e.validate(t, packer, plugins, "ethminer-ami")
			want, known := notHere[e.name]
			switch {
			case ok && known:
				t.Errorf("the example validates; remove it from the list")
			case !ok && !known:
				t.Errorf("the example does not validate:\n%s\n%s", said, e.text)
			case !ok && !strings.Contains(said, want):
				t.Errorf("got:\n%s\nwant %q", said, want)
			}
			if peers == "" || ok {
				return
			}
			if said, there := e.validate(t, packer, plugins, "amazon-ebs"); there && want != winrm {
				t.Errorf("the example validates with amazon-ebs:\n%s", said)
			}
		})
	}
	if tried < 15 {
		t.Errorf("found only %d examples: the layout of the documentation has changed", tried)
	}
}
