// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

func runPublishWith(in string, person bool, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = runPublish(context.Background(), args, streams{in: strings.NewReader(in), out: &o, err: &e, person: person})
	return code, o.String(), e.String()
}

// Published by hand twice, looked at, and gone back: with a plan and a question
// first, which the options answer.
func TestPublishByHand(t *testing.T) {
	mototest.Env(t, *mototest.Start(t, "us-east-1").BaseEndpoint)
	base, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bucket := "templates"
	if _, err := ec2api.New(base, "").S3("us-east-1", bucket).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	spec, err := json.Marshal(publish.Spec{Name: "stack.template", Mapping: "M", Attributes: []string{"AMI"}, S3: publish.S3{Bucket: bucket, Regions: []string{"us-east-1"}}})
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
	write(plan, string(spec))
	for _, step := range []struct {
		why, template string // to write before
		in            string // what a person answers; none: nobody is there
		args          []string
		code          int
		out, err      string // parts of them
	}{
		{why: "nothing is published", args: []string{"status", uri}, code: exitError, err: "was not published by this program"},
		{why: "the first", template: "Resources: {}\n", args: []string{"run", "-plan", plan, template}, out: "https://templates.s3.us-east-1.amazonaws.com/templates/latest/stack.template"},
		{why: "there is none before", args: []string{"rollback", uri}, code: exitError, err: "the only version that is known"},
		{why: "a dry run of the second", template: "Resources: {} # 2\n", args: []string{"run", "-dry-run", "-plan", plan, template}, out: "publish stack.template: version"},
		{why: "the second", args: []string{"run", "-plan", plan, template}},
		{why: "all is well", args: []string{"status", uri}, out: "All of it is version"},
		{why: "for a program", args: []string{"status", "-json", uri}, out: `"publication": 2`},
		{why: "nobody agrees", args: []string{"rollback", uri}, code: exitMixed, out: "Nothing was done; -yes does it."},
		{why: "a person says no", in: "n\n", args: []string{"rollback", uri}, code: exitMixed, out: "[y/N] Nothing was done"},
		{why: "a plan only", args: []string{"rollback", "-dry-run", uri}, out: "roll back stack.template: version"},
		{why: "still the second", args: []string{"status", "-json", uri}, out: `"publication": 2`},
		{why: "a person says yes", in: "y\n", args: []string{"rollback", uri}, out: "read back in every region"},
		{why: "back", args: []string{"status", "-json", uri}, out: `"action": "rollback"`},
		{why: "the history", args: []string{"history", uri}, out: "3       "},
		{why: "no verb", args: []string{"undo", uri}, code: exitUsage, err: `"undo"; expected status, history, rollback or run`},
		{why: "no address", args: []string{"status", "templates"}, code: exitUsage, err: "expected s3://BUCKET/templates/latest/NAME"},
		{why: "run without a plan", args: []string{"run", template}, code: exitUsage, err: "run needs it"},
	} {
		if step.template != "" {
			write(template, step.template)
		}
		code, out, errs := runPublishWith(step.in, step.in != "", step.args...)
		if code != step.code || !strings.Contains(out, step.out) || !strings.Contains(errs, step.err) {
			t.Fatalf("%s: exit code %d, want %d\nstdout: %s\nwant %q\nstderr: %s\nwant %q", step.why, code, step.code, out, step.out, errs, step.err)
		}
	}
}
