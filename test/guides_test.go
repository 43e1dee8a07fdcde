// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const guides = "../docs/guides"

// readGuides returns the guides by name.
func readGuides(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(guides + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.Base(file)] = string(text)
	}
	if len(pages) < 8 {
		t.Fatalf("found %d guides", len(pages))
	}
	return pages
}

var block = regexp.MustCompile("(?ms)^[ \t]*```(\\w+)\n(.*?)^[ \t]*```")

// spends matches commands that cost money on AWS.
var spends = regexp.MustCompile(`(?m)packer build (?:-var preflight=on )?[\w.-]+\.pkr\.hcl|aws ec2 (?:run-instances|purchase-)\S*|aws cloudformation (?:create|update)-stack|aws cloudwatch put-metric-alarm|test-image -region|publish (?:run|rollback)`)

// Each page with a command that costs money says before it that Ethereum has no proof of
// work any more and that AWS restricts mining.
func TestGuidesWarn(t *testing.T) {
	pages := readGuides(t)
	for _, name := range []string{"../README.md", "../docs/fleet.md", "../docs/test-image.md"} {
		pages[name] = readTemplate(t, name)
	}
	warned := 0
	for name, page := range pages {
		command := spends.FindStringIndex(page)
		if command == nil {
			continue
		}
		before := page[:command[0]]
		if name == "troubleshooting.md" || name == "first-rehearsal.md" {
			t.Errorf("%s has the command %q", name, page[command[0]:command[1]])
		}
		for _, words := range []string{"September 2022", "https://aws.amazon.com/service-terms/"} {
			if !strings.Contains(before, words) {
				t.Errorf("%s: %q comes before %q", name, page[command[0]:command[1]], words)
			}
		}
		warned++
	}
	if warned < 6 {
		t.Errorf("found commands that cost money in %d pages", warned)
	}
}

// The shell blocks of the guides and of docs/fleet.md parse, and the AWS CLI accepts the arguments of each aws
// command: it fails only when it connects to the endpoint, where nothing listens.
func TestGuidesShell(t *testing.T) {
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("SKIPPED: requires the AWS CLI; run: pip install -r .github/judges.txt")
	}
	env := append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none", "AWS_DEFAULT_REGION=eu-central-1", "AWS_CONFIG_FILE=/dev/null")
	blocks, commands := 0, 0
	work := t.TempDir()
	for _, name := range []string{"trust.json", "build.json", "eth-mining-cfn.template"} {
		if err := os.WriteFile(filepath.Join(work, name), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pages := readGuides(t)
	pages["fleet.md"] = readTemplate(t, "../docs/fleet.md")
	for name, page := range pages {
		for _, found := range block.FindAllStringSubmatch(page, -1) {
			if found[1] != "shell" {
				continue
			}
			blocks++
			check := exec.Command("bash", "-n")
			check.Stdin = strings.NewReader(found[2])
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s\n%s", name, err, out, found[2])
				continue
			}
			for _, command := range commandsOf(found[2]) {
				if !strings.HasPrefix(command, "aws ") {
					continue
				}
				commands++
				run := exec.Command("bash", "-c", cli+strings.TrimPrefix(command, "aws")+" --endpoint-url http://127.0.0.1:1")
				run.Env, run.Dir = env, work
				if out, err := run.CombinedOutput(); err == nil || !strings.Contains(string(out), "Could not connect to the endpoint URL") {
					t.Errorf("%s: %s: %v\n%s", name, command, err, out)
				}
			}
		}
	}
	if blocks < 20 || commands < 16 {
		t.Errorf("found %d shell blocks and %d aws commands", blocks, commands)
	}
}

// commandsOf splits a shell block into commands: a line ends one, unless it ends with a
// backslash or in a quoted argument.
func commandsOf(text string) []string {
	var commands []string
	current := ""
	for line := range strings.Lines(text) {
		current += line
		if strings.HasSuffix(line, "\\\n") || strings.Count(current, "'")%2 == 1 {
			continue
		}
		commands = append(commands, strings.TrimSpace(current))
		current = ""
	}
	return commands
}

// cfn-lint accepts the IAM policies of the guides. Trust policies are those with a
// principal.
func TestGuidesPolicies(t *testing.T) {
	lint, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("SKIPPED: requires cfn-lint; run: pip install -r .github/judges.txt")
	}
	resources := map[string]any{}
	for name, page := range readGuides(t) {
		for _, found := range block.FindAllStringSubmatch(page, -1) {
			if found[1] != "json" {
				continue
			}
			var document any
			if err := json.Unmarshal([]byte(found[2]), &document); err != nil {
				t.Errorf("%s: %v\n%s", name, err, found[2])
				continue
			}
			kind, properties := "AWS::IAM::ManagedPolicy", map[string]any{"PolicyDocument": document}
			if strings.Contains(found[2], `"Principal"`) {
				kind, properties = "AWS::IAM::Role", map[string]any{"AssumeRolePolicyDocument": document}
			}
			resources["Policy"+strconv.Itoa(len(resources))] = map[string]any{"Type": kind, "Properties": properties}
		}
	}
	if len(resources) < 3 {
		t.Fatalf("found %d policies", len(resources))
	}
	template, err := json.Marshal(map[string]any{"Resources": resources})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "policies.template")
	if err := os.WriteFile(file, template, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(lint, file).CombinedOutput(); err != nil {
		t.Errorf("cfn-lint: %v\n%s", err, out)
	}
}

// The commands of the first build print its policy, in a rehearsal and without an account.
func TestFirstBuildPolicy(t *testing.T) {
	build, packer := os.Getenv("ETHMINER_BUILD"), os.Getenv("PACKER")
	if build == "" || packer == "" {
		t.Skip("SKIPPED: requires the plugin and Packer; run: make test")
	}
	work := t.TempDir()
	template, err := os.ReadFile("../example/eth-mining-cfn.template")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"eth-mining-cfn.template": string(template)}
	command := ""
	for _, found := range block.FindAllStringSubmatch(readGuides(t)["first-build.md"], -1) {
		switch {
		case found[1] == "hcl":
			files["mining.pkr.hcl"] = found[2]
		case strings.Contains(found[2], ">policy.json"):
			command = found[2]
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Packer's own files go to another folder.
	run := runner(build, work, environment(build, packer, t.TempDir()))
	out, err := run("bash", "-c", "packer() { \"$PACKER\" \"$@\"; }\n"+command)
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	text, err := os.ReadFile(filepath.Join(work, "policy.json"))
	if err != nil {
		t.Fatal(err)
	}
	var policy struct{ Statement []struct{ Sid string } }
	if err := json.Unmarshal(text, &policy); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !slices.ContainsFunc(policy.Statement, func(s struct{ Sid string }) bool { return s.Sid == "Copy" }) {
		t.Errorf("the policy has no statement Copy:\n%s", text)
	}
}

// The CI configurations are YAML, pin actions by commit and images by digest, rehearse
// before they build, and name the role of the guide.
func TestGuidesCI(t *testing.T) {
	pinned := regexp.MustCompile(`^[\w.-]+/[\w.-]+@[0-9a-f]{40}$`)
	for name, uses := range map[string]int{"github.yml": 5, "gitlab.yml": 0} {
		text, err := os.ReadFile(filepath.Join(guides, "ci", name))
		if err != nil {
			t.Fatal(err)
		}
		var document yaml.Node
		if err := yaml.Unmarshal(text, &document); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found := 0
		for _, value := range valuesOf(&document, "uses") {
			found++
			if !pinned.MatchString(value) {
				t.Errorf("%s: the action %s is not pinned to a commit", name, value)
			}
		}
		if found != uses {
			t.Errorf("%s has %d actions, want %d", name, found, uses)
		}
		rehearsal, build := strings.Index(string(text), "packer build -var rehearsal=true"), strings.Index(string(text), "packer build mining.pkr.hcl")
		if rehearsal < 0 || build < rehearsal {
			t.Errorf("%s builds before it rehearses", name)
		}
		if !strings.Contains(string(text), "role/ethminer-build") {
			t.Errorf("%s does not name the role ethminer-build", name)
		}
	}
}

// valuesOf returns the scalar values of a key anywhere in a document.
func valuesOf(node *yaml.Node, key string) []string {
	var values []string
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 1 && node.Content[i-1].Value == key {
			values = append(values, child.Value)
		}
		values = append(values, valuesOf(child, key)...)
	}
	return values
}

// messageRow matches a row of a table of messages, and its messages.
var (
	messageRow  = regexp.MustCompile("(?m)^\\| (`.*?`) \\| .* \\|$")
	messageText = regexp.MustCompile("`([^`]+)`")
	verb        = regexp.MustCompile(`%[-+#0 ]*(?:\[\d+\])?[\d.]*[a-zA-Z]`)
)

// scriptFailure matches the message of a script that runs on the instance.
var scriptFailure = regexp.MustCompile(`\bfail "([^"]*)"`)

// Each message of the troubleshooting page exists in the code: its parts between `...`
// occur in one message of the code, in this order.
func TestTroubleshootingPage(t *testing.T) {
	messages := messagesOfCode(t)
	count := 0
	for _, row := range messageRow.FindAllStringSubmatch(readGuides(t)["troubleshooting.md"], -1) {
		for _, quoted := range messageText.FindAllStringSubmatch(row[1], -1) {
			count++
			if !slices.ContainsFunc(messages, func(m string) bool { return hasParts(m, quoted[1]) }) {
				t.Errorf("no message of the code has %q", quoted[1])
			}
		}
	}
	if count < 40 {
		t.Errorf("found %d messages in the page", count)
	}
}

// hasParts reports whether message contains the parts of quoted between `...` in order.
func hasParts(message, quoted string) bool {
	for part := range strings.SplitSeq(quoted, "...") {
		_, rest, found := strings.Cut(message, strings.TrimSpace(part))
		if !found {
			return false
		}
		message = rest
	}
	return true
}

// messagesOfCode returns the texts of the product's Go code, and the failures of its scripts. Texts that are joined by `+`
// are one. Verbs become spaces.
func messagesOfCode(t *testing.T) []string {
	t.Helper()
	var messages []string
	for _, top := range []string{"../builder", "../provisioner", "../post-processor", "../datasource", "../internal"} {
		err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if strings.HasSuffix(path, ".sh") {
				script, err := os.ReadFile(path)
				for _, failure := range scriptFailure.FindAllStringSubmatch(string(script), -1) {
					messages = append(messages, failure[1])
				}
				return err
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".hcl2spec.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				if text, ok := textOf(node); ok {
					messages = append(messages, verb.ReplaceAllString(text, " "))
					return false
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return messages
}

// textOf returns the text of a literal, or of literals and other operands that are joined
// by `+`. An operand that is not a literal becomes a space.
func textOf(node ast.Node) (text string, ok bool) {
	switch node := node.(type) {
	case *ast.BasicLit:
		if node.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(node.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		if node.Op != token.ADD {
			return "", false
		}
		left, isLeft := textOf(node.X)
		right, isRight := textOf(node.Y)
		if !isLeft {
			left = " "
		}
		if !isRight {
			right = " "
		}
		return left + right, isLeft || isRight
	}
	return "", false
}
