// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

func runPublishWith(t *testing.T, in string, person bool, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t, "publish", args, streams{in: strings.NewReader(in), out: &o, err: &e, person: person})
	return code, o.String(), e.String()
}

// TestPublishByHand publishes twice, prints the status, and rolls back with a plan and a
// confirmation.
func TestPublishByHand(t *testing.T) {
	mototest.Env(t, *mototest.Start(t, "us-east-1").BaseEndpoint)
	base, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bucket := "templates"
	if _, err := awsclient.New(base, "").S3("us-east-1", bucket).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	spec, err := json.Marshal(publish.Spec{Name: "stack.template", Mapping: "M", Attributes: []string{"AMI"}, TrustImages: true, S3: publish.S3{Bucket: bucket, Regions: []string{"us-east-1"}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	plan, template := filepath.Join(dir, "plan"), filepath.Join(dir, "stack.template")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const uri = "s3://templates/templates/latest/stack.template"
	const text = "Mappings: {M: {us-east-1: {AMI: ami-0123456789abcdef0}}}\nResources: {}\n"
	write(plan, string(spec))
	settings := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(path, fmt.Sprintf(`{"template": %q, "mapping": "M", %s}`, template, text))
		return path
	}
	good := settings("good.json", `"publish": {"s3": {"bucket": "templates"}}`)
	bad := settings("bad.json", `"publish": {"s3": {"bucket": "nobody"}}`)
	unknown := settings("unknown.json", `"pubblish": {}`)
	for _, step := range []struct {
		why, template string // to write before
		in            string // the user's answer; empty without a terminal
		args          []string
		code          int
		out, err      string // parts of them
	}{
		{why: "nothing is published", args: []string{"status", uri}, code: exitError, err: "was not published by this program"},
		{why: "the first", template: text, args: []string{"run", "-plan", plan, template}, out: "https://templates.s3.us-east-1.amazonaws.com/templates/latest/stack.template"},
		{why: "there is no earlier version", args: []string{"rollback", uri}, code: exitError, err: "the only known version"},
		{why: "a dry run of the second", template: text + "# 2\n", args: []string{"run", "-dry-run", "-plan", plan, template}, out: "publish stack.template: version"},
		{why: "the second", args: []string{"run", "-plan", plan, template}},
		{why: "everything is current", args: []string{"status", uri}, out: "Everything is at version"},
		{why: "for a program", args: []string{"status", "-json", uri}, out: `"publication": 2`},
		{why: "no confirmation", args: []string{"rollback", uri}, code: exitUnconfirmed, err: "Nothing was changed; confirm with -yes."},
		{why: "the user declines", in: "n\n", args: []string{"rollback", uri}, code: exitUnconfirmed, err: "[y/N] Nothing was changed"},
		{why: "a plan only", args: []string{"rollback", "-dry-run", uri}, out: "roll back stack.template: version"},
		{why: "still the second", args: []string{"status", "-json", uri}, out: `"publication": 2`},
		{why: "the user confirms", in: "y\n", args: []string{"rollback", uri}, out: "roll back stack.template: version", err: "verified in every region"},
		{why: "back", args: []string{"status", "-o", "json", uri}, out: `"action": "rollback"`},
		{why: "the history", args: []string{"history", uri}, out: "3       "},
		{why: "a flag of another verb", args: []string{"status", "-to", "1", uri}, code: exitUsage, err: "-to is an option of rollback, not of status"},
		{why: "check what run would do", args: []string{"check", "-plan", plan, template}, out: "Publishing check passed: 1 bucket(s)"},
		{why: "check before a build", args: []string{"check", "-build", "us-east-1", good}, out: "Publishing check passed: 1 bucket(s)"},
		{why: "check before a build of more regions", args: []string{"check", "-build", "us-east-1,eu-west-1", good}, code: exitProblem, out: "have the same bucket"},
		{why: "check for a program", args: []string{"check", "-o", "json", "-build", "us-east-1", good}, out: "\"scope\": \"1 bucket(s)\",\n  \"warnings\": [],\n  \"problems\": []"},
		{why: "a problem for a program", args: []string{"check", "-o", "json", "-build", "us-east-1", bad}, code: exitProblem, out: `"s3 in us-east-1: there is no bucket \"nobody\"`},
		{why: "check a file that does not exist", args: []string{"check", "-build", "us-east-1", good + "x"}, code: exitError, err: "good.jsonx: no such file"},
		{why: "check another bucket", args: []string{"check", "-build", "us-east-1", bad}, code: exitProblem, out: `s3 in us-east-1: there is no bucket "nobody"`},
		{why: "check an unknown option", args: []string{"check", "-build", "us-east-1", unknown}, code: exitProblem, out: `unknown configuration key`},
		{why: "check nothing", args: []string{"check", good}, code: exitUsage, err: "expected either -build"},
		{why: "no verb", args: []string{"undo", uri}, code: exitUsage, err: `got "undo", want status, history, rollback, run or check`},
		{why: "no address", args: []string{"status", "templates"}, code: exitUsage, err: "want s3://BUCKET/templates/latest/NAME"},
		{why: "run without a plan", args: []string{"run", template}, code: exitUsage, err: "-plan: not set"},
	} {
		if step.template != "" {
			write(template, step.template)
		}
		code, out, errs := runPublishWith(t, step.in, step.in != "", step.args...)
		if code != step.code || !strings.Contains(out, step.out) || !strings.Contains(errs, step.err) {
			t.Fatalf("%s: exit code %d, want %d\nstdout: %s\nwant %q\nstderr: %s\nwant %q", step.why, code, step.code, out, step.out, errs, step.err)
		}
	}
	// The check wrote nothing.
	out, err := awsclient.New(base, "").S3("us-east-1", bucket).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out.Contents {
		if strings.Contains(*o.Key, "check") {
			t.Errorf("got object %s", *o.Key)
		}
	}
}
