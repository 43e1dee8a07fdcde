// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
)

func publishTo(bucket string) map[string]any {
	return map[string]any{"publish": map[string]any{"version": "1.0.0", "s3": map[string]any{"bucket": bucket, "prefix": "eth"}}}
}

// The template is published in the regions of the images, through the clients
// of the user's environment. Where that fails the images and the template stay,
// and the command that publishes by hand is printed.
func TestPublish(t *testing.T) {
	mototest.Env(t, *mototest.Start(t, "us-east-1").BaseEndpoint)
	base, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clients := ec2api.New(base, "")
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		in := &s3.CreateBucketInput{Bucket: aws.String("templates-" + region)}
		if region != "us-east-1" {
			in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
		}
		if _, err := clients.S3(region, *in.Bucket).CreateBucket(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	const both = "us-east-1:" + amiA + ",eu-west-1:" + amiB
	s := newScene(t, template, publishTo("templates-{{ .Region }}"))
	if _, err := s.run(t, source(both, nil)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"https://templates-us-east-1.s3.us-east-1.amazonaws.com/eth/templates/latest/stack.template",
		"https://templates-eu-west-1.s3.eu-west-1.amazonaws.com/eth/templates/1.0.0/stack.template",
		"packer-plugin-ethminer publish rollback -region eu-west-1 s3://templates-eu-west-1/eth/templates/latest/stack.template",
	} {
		if !strings.Contains(s.said.String(), want) {
			t.Errorf("no %q in\n%s", want, s.said.String())
		}
	}

	s = newScene(t, template, publishTo("nobody-{{ .Region }}"))
	out, err := s.run(t, source(both, nil))
	if err == nil || !strings.Contains(err.Error(), `there is no bucket "nobody-us-east-1"`) || out == nil {
		t.Errorf("error %v, artifact %v", err, out)
	}
	if !strings.Contains(read(t, s.template), amiA) {
		t.Error("the template was not kept")
	}
	want := "packer-plugin-ethminer publish run -plan " + s.template + ".publish.json " + s.template
	if !strings.Contains(s.said.String(), want) {
		t.Errorf("no %q in\n%s", want, s.said.String())
	}
	if !strings.Contains(read(t, s.template+".publish.json"), "nobody-") {
		t.Error("no plan was left")
	}
}

// What a rehearsal has made is published in that rehearsal and nowhere else:
// not in the account that the environment names, even where the rehearsal is
// gone.
func TestPublishRehearsal(t *testing.T) {
	var calls atomic.Int32
	account := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer account.Close()
	mototest.Env(t, account.URL)
	settings := publishTo("templates-{{ .Region }}")
	settings["output"] = "DIR/out"
	s := newScene(t, template, settings)
	_, err := s.run(t, source("us-east-1:"+amiA, map[string]any{"ethminer.rehearsal": true, "ethminer.rehearsal_state": t.TempDir()}))
	if err == nil || !strings.Contains(err.Error(), "published in that rehearsal only") || calls.Load() != 0 {
		t.Errorf("error %v, and %d calls of the account", err, calls.Load())
	}
	if strings.Contains(s.said.String(), "publish run") {
		t.Errorf("a command that would publish it in the account:\n%s", s.said.String())
	}
}

// A dry run says what it would publish, and makes no call.
func TestPublishDryRun(t *testing.T) {
	settings := publishTo("templates-{{ .Region }}")
	settings["dry_run"] = true
	s := newScene(t, template, settings)
	if _, err := s.run(t, source("us-east-1:"+amiA, nil)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.said.String(), "Would publish stack.template: version 1.0.0") {
		t.Errorf("said\n%s", s.said.String())
	}
}

// Everything that is wrong with a publish block is told before the build.
func TestPublishBlock(t *testing.T) {
	type block = map[string]any
	s3 := func(b block) block { return block{"s3": b} }
	with := func(name string, b block) block {
		return block{"s3": block{"bucket": "t-{{ .Region }}"}, name: b}
	}
	for want, publish := range map[string]block{
		`publish.s3.bucket: not set`:                                   {"version": "1"},
		`publish.version: "latest"; expected`:                          {"version": "latest", "s3": block{"bucket": "t"}},
		`publish.version: "a/b"; expected`:                             {"version": "a/b", "s3": block{"bucket": "t"}},
		`publish.s3.bucket: "t" is one bucket, for 2 regions`:          s3(block{"bucket": "t", "regions": []string{"us-east-1", "eu-west-1"}}),
		`"t-{{ .Reg }}"; expected text with {{ .Region }}`:             s3(block{"bucket": "t-{{ .Reg }}"}),
		`publish.s3.regions: "mars"; expected a region`:                s3(block{"bucket": "t-{{ .Region }}", "regions": []string{"mars"}}),
		`us-east-1 and cn-north-1 are of two partitions`:               s3(block{"bucket": "t-{{ .Region }}", "regions": []string{"us-east-1", "cn-north-1"}}),
		`publish.s3.acl: "open"; expected a canned ACL`:                s3(block{"bucket": "t", "acl": "open"}),
		`publish.s3.keep_versions: 1; expected 0`:                      s3(block{"bucket": "t", "keep_versions": 1}),
		`publish.ssm.name: not set`:                                    with("ssm", block{"timeout": "1m"}),
		`publish.ssm.name: "a b"; expected letters`:                    with("ssm", block{"name": "a b"}),
		`publish.ssm.name: "/aws/x"; names that begin with aws`:        with("ssm", block{"name": "/aws/x"}),
		`publish.ssm.versioned_name: "/x"; expected {{ .Version }}`:    with("ssm", block{"versioned_name": "/x"}),
		`publish.stack_set.name: "1"; expected`:                        with("stack_set", block{"name": "1", "accounts": []string{"111111111111"}}),
		`publish.stack_set.accounts: 0 of them`:                        with("stack_set", block{"name": "x"}),
		`publish.stack_set.accounts: "1"; expected the 12 digits`:      with("stack_set", block{"name": "x", "accounts": []string{"1"}}),
		`publish.stack_set.canary_region: "eu-west-1"; expected one`:   with("stack_set", block{"name": "x", "accounts": []string{"111111111111"}, "regions": []string{"us-east-1"}, "canary_region": "eu-west-1"}),
		`publish.stack_set.on_failure: "retry"; expected rollback or`:  with("stack_set", block{"name": "x", "accounts": []string{"111111111111"}, "on_failure": "retry"}),
		`publish.stack_set.capabilities: "ALL"; expected`:              with("stack_set", block{"name": "x", "accounts": []string{"111111111111"}, "capabilities": []string{"ALL"}}),
		`publish.stack_set.permission_model: "SELF_MANAGED"; expected`: with("stack_set", block{"name": "x", "organizational_units": []string{"ou-ab12-cdefgh34"}, "permission_model": "SELF_MANAGED"}),
		``: with("stack_set", block{"name": "x", "accounts": []string{"111111111111"}, "parameters": block{"A": "b"},
			"operation_preferences": block{"failure_tolerance_count": 0, "max_concurrent_percentage": 50}}),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/t", []byte(template), 0o644); err != nil {
			t.Fatal(err)
		}
		err := new(PostProcessor).Configure(map[string]any{"template": dir + "/t", "publish": publish})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: error %v, want %q", publish, err, want)
		}
	}
}

// A template that CloudFormation does not take is told before the build.
func TestPublishSize(t *testing.T) {
	path := t.TempDir() + "/t"
	if err := os.WriteFile(path, []byte(template+"# "+strings.Repeat("x", 1<<20)), 0o644); err != nil {
		t.Fatal(err)
	}
	settings := publishTo("templates")
	settings["template"] = path
	if err := new(PostProcessor).Configure(settings); err == nil || !strings.Contains(err.Error(), "CloudFormation takes at most 1048576 by URL") {
		t.Errorf("error %v", err)
	}
}
