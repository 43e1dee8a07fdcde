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

// example is a configuration of amazon-ebs's documentation, by the file that it
// is in and its number there.
type example struct{ name, ext, text string }

const winrm = `communicator: "winrm" is not supported`

// notHere are the examples that do not validate as ours, and what is said of
// them; docs/amazon-ebs.md has those that validate as amazon-ebs's.
var notHere = map[string]string{
	"ebs.mdx 13": winrm,
	"ebs.mdx 12": winrm,
	// Nor do these as amazon-ebs's: they are parts, or are mistaken.
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

// examples reads those of the module that go.mod names: none is copied here.
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
			continue // a partial of the SDK's
		}
		for n, block := range fence.FindAllStringSubmatch(string(text), -1) {
			ext := strings.ToLower(block[1])
			// JSON that is a part of a file is none, and nothing can be put around it.
			if strings.Contains(block[2], "amazon-ebs") && (ext != "json" || json.Valid([]byte(block[2]))) {
				all = append(all, example{fmt.Sprintf("%s %d", filepath.Base(file), n+1), ext, block[2]})
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

// validate says what Packer says of an example whose sources are of a type.
// Around a part it puts what Packer needs to look at it: a build of its sources,
// the variables that it uses.
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
		t.Skip("SKIPPED: needs the plugin and Packer: run `make test`, which builds them")
	}
	plugins, peers := filepath.Join(build, "plugins"), os.Getenv("ETHMINER_PEERS")
	if peers != "" {
		plugins = peers
	}
	tried := 0
	for _, e := range examples(t) {
		if peers == "" && (strings.Contains(e.text, `data "amazon-`) || strings.Contains(e.text, "hashicorp/amazon")) {
			t.Logf("%s is left to `make test-peers`: it uses another component of the amazon plugin, which that builds", e.name)
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			tried++
			said, ok := e.validate(t, packer, plugins, "ethminer-ami")
			want, known := notHere[e.name]
			switch {
			case ok && known:
				t.Errorf("it validates; take it off the list")
			case !ok && !known:
				t.Errorf("it does not validate:\n%s\n%s", said, e.text)
			case !ok && !strings.Contains(said, want):
				t.Errorf("it is said:\n%s\nwant %q", said, want)
			}
			if peers == "" || ok {
				return
			}
			if said, there := e.validate(t, packer, plugins, "amazon-ebs"); there && want != winrm {
				t.Errorf("as amazon-ebs's it validates:\n%s", said)
			}
		})
	}
	if tried < 15 {
		t.Errorf("only %d examples were tried: the documentation is laid out in another way now", tried)
	}
}
