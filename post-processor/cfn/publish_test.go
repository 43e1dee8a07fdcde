// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"context"
	"errors"
	"fmt"
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
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
)

func publishTo(bucket string) map[string]any {
	return map[string]any{"publish": map[string]any{"version": "1.0.0", "s3": map[string]any{"bucket": bucket, "prefix": "eth"}}}
}

// TestPublish: the template is published in the regions of the images, with the clients of
// the user's environment. If that fails, the images and the template are kept, and the
// output has the command that publishes by hand.
func TestPublish(t *testing.T) {
	mototest.Env(t, *mototest.Start(t, "us-east-1").BaseEndpoint)
	base, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clients := awsclient.New(base, "")
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
	published, err := s.run(t, source(both, nil))
	if err != nil {
		t.Fatal(err)
	}
	result, _ := artifact.DecodeTemplate(published.State("ethminer.template"))
	if lines := strings.Join(result.Published, "\n"); !strings.HasPrefix(lines, "publish stack.template: version 1.0.0") || !strings.Contains(lines, "/latest/stack.template") {
		t.Errorf("the artifact's state has published lines:\n%s", lines)
	}
	for _, want := range []string{
		"https://templates-us-east-1.s3.us-east-1.amazonaws.com/eth/templates/latest/stack.template",
		"https://templates-eu-west-1.s3.eu-west-1.amazonaws.com/eth/templates/1.0.0/stack.template",
		"packer-plugin-ethminer publish rollback -region eu-west-1 s3://templates-eu-west-1/eth/templates/latest/stack.template",
	} {
		if !strings.Contains(s.said.String(), want) {
			t.Errorf("got output without %q:\n%s", want, s.said.String())
		}
	}

	s = newScene(t, template, publishTo("nobody-{{ .Region }}"))
	out, err := s.run(t, source(both, nil))
	for _, want := range []string{"us-east-1: " + amiA, "eu-west-1: " + amiB} {
		if !strings.Contains(s.said.String(), want) {
			t.Errorf("want %q next to the error:\n%s", want, s.said.String())
		}
	}
	if result, _ := artifact.DecodeTemplate(out.State("ethminer.template")); result.Published != nil {
		t.Errorf("the artifact's state has published lines after a failure: %q", result.Published)
	}
	if err == nil || !strings.Contains(err.Error(), `there is no bucket "nobody-us-east-1"`) || out == nil {
		t.Errorf("got error %v, artifact %v", err, out)
	}
	if !strings.Contains(read(t, s.template), amiA) {
		t.Error("the template was not kept")
	}
	want := "packer-plugin-ethminer publish run -plan " + s.template + ".publish.json " + s.template
	if !strings.Contains(s.said.String(), want) {
		t.Errorf("got output without %q:\n%s", want, s.said.String())
	}
	if !strings.Contains(read(t, s.template+".publish.json"), "nobody-") {
		t.Error("the plan was not kept")
	}
}

// TestPublishRehearsal: images of a rehearsal are published only in that rehearsal, never
// in the account of the environment, even if the rehearsal no longer runs.
func TestPublishRehearsal(t *testing.T) {
	var calls atomic.Int32
	account := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer account.Close()
	mototest.Env(t, account.URL)
	settings := publishTo("templates-{{ .Region }}")
	settings["output"] = "DIR/out"
	s := newScene(t, template, settings)
	_, err := s.run(t, source("us-east-1:"+amiA, map[string]any{"ethminer.rehearsal": true, "ethminer.rehearsal_state": t.TempDir()}))
	if err == nil || !strings.Contains(err.Error(), "can be published only in it") || calls.Load() != 0 {
		t.Errorf("got error %v and %d calls to the account, want none", err, calls.Load())
	}
	for _, line := range strings.Split(s.said.String(), "\n") {
		if strings.HasPrefix(line, "packer-plugin-ethminer publish") && !strings.Contains(line, " -rehearsal ") {
			t.Errorf("got a command that would publish in the account: %s", line)
		}
	}
}

// TestPublishCancelled: a cancelled publication can be resumed; there is nothing to fix.
func TestPublishCancelled(t *testing.T) {
	s := newScene(t, template, publishTo("templates-{{ .Region }}"))
	ui := &packersdk.BasicUi{Reader: strings.NewReader(""), Writer: &s.said, ErrorWriter: &s.said}
	cause := fmt.Errorf("rolling out: %w", context.Canceled)
	if err := s.leavePlan(ui, source("us-east-1:"+amiA, nil), s.config.Spec(nil), filled{Template: artifact.Template{Path: s.template}}, cause); err != nil {
		t.Fatal(err)
	}
	if said := s.said.String(); strings.Contains(said, "after fixing") || !strings.Contains(said, "or to resume") {
		t.Errorf("got output %s", said)
	}
}

// TestPlanWithOverrides: the plan file has no values of parameters, and the command has a
// place for each of them.
func TestPlanWithOverrides(t *testing.T) {
	settings := publishTo("nobody-{{ .Region }}")
	settings["publish"].(map[string]any)["stack_set"] = map[string]any{
		"name": "mining", "accounts": []string{"111111111111"}, "parameters": map[string]any{"Wallet": "0xsecret"},
		"parameter_overrides": []map[string]any{{"regions": []string{"us-east-1"}, "parameters": map[string]any{"Subnets": "0xsecret"}}},
	}
	s := newScene(t, template, settings)
	ui := &packersdk.BasicUi{Reader: strings.NewReader(""), Writer: &s.said, ErrorWriter: &s.said}
	if err := s.leavePlan(ui, source("us-east-1:"+amiA, nil), s.config.Spec(nil), filled{Template: artifact.Template{Path: s.template}}, errors.New("failed")); err != nil {
		t.Fatal(err)
	}
	if want := "-parameter Wallet=VALUE -parameter-override 'us-east-1/*/Subnets=VALUE'"; !strings.Contains(s.said.String(), want) {
		t.Errorf("got output without %q:\n%s", want, s.said.String())
	}
	if plan := read(t, s.template+".publish.json"); strings.Contains(plan, "0xsecret") || !strings.Contains(plan, `"Subnets"`) {
		t.Errorf("got plan %s", plan)
	}
}

// TestPublishSSMRegions: the parameters' default regions are those that the build fills,
// not all rows with an earlier image.
func TestPublishSSMRegions(t *testing.T) {
	for name, test := range map[string]struct {
		regions []string
		want    string
	}{
		"default":  {nil, "us-east-1"},
		"explicit": {[]string{"us-west-2"}, "us-west-2"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := publishTo("templates-{{ .Region }}")
			settings["dry_run"] = true
			ssm := map[string]any{"name": "/ethminer/ami"}
			if test.regions != nil {
				ssm["regions"] = test.regions
			}
			settings["publish"].(map[string]any)["ssm"] = ssm
			row := "    us-west-2:\n      AMI: " + amiB + "\n    cn-north-1:"
			s := newScene(t, strings.Replace(template, "    cn-north-1:", row, 1), settings)
			if _, err := s.run(t, source("us-east-1:"+amiA, nil)); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(s.said.String(), "  parameter "); n != 1 || !strings.Contains(s.said.String(), "parameter  "+test.want) {
				t.Errorf("got output\n%s", s.said.String())
			}
		})
	}
}

// TestPublishDryRun: a dry run prints the planned publication and makes no calls.
func TestPublishDryRun(t *testing.T) {
	settings := publishTo("templates-{{ .Region }}")
	settings["dry_run"] = true
	s := newScene(t, template, settings)
	if _, err := s.run(t, source("us-east-1:"+amiA, nil)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.said.String(), "Would publish stack.template: version 1.0.0") {
		t.Errorf("got output\n%s", s.said.String())
	}
}

// TestPublishBlock: all errors of a publish block are reported before the build.
func TestPublishBlock(t *testing.T) {
	type block = map[string]any
	s3 := func(b block) block { return block{"s3": b} }
	with := func(name string, b block) block {
		return block{"s3": block{"bucket": "t-{{ .Region }}"}, name: b}
	}
	set := func(b block) block {
		b["name"], b["accounts"] = "x", []string{"111111111111"}
		return with("stack_set", b)
	}
	for want, publish := range map[string]block{
		`publish.s3.bucket: not set`:                                                                       {"version": "1"},
		`publish.version: got "latest", want`:                                                              {"version": "latest", "s3": block{"bucket": "t"}},
		`publish.version: got "a/b", want`:                                                                 {"version": "a/b", "s3": block{"bucket": "t"}},
		`publish.s3.bucket: "t" is one bucket for 2 regions`:                                               s3(block{"bucket": "t", "regions": []string{"us-east-1", "eu-west-1"}}),
		`got "t-{{ .Reg }}", want text with {{ .Region }}`:                                                 s3(block{"bucket": "t-{{ .Reg }}"}),
		`publish.s3.regions: got "mars", want a region`:                                                    s3(block{"bucket": "t-{{ .Region }}", "regions": []string{"mars"}}),
		`publish.s3.regions: got "us-esat-1", which is not a region; did you mean us-east-1?`:              s3(block{"bucket": "t-{{ .Region }}", "regions": []string{"us-esat-1"}}),
		`publish.ssm.regions: got "eu-wset-9", which is not a region`:                                      with("ssm", block{"name": "/x", "regions": []string{"eu-wset-9"}}),
		`publish.stack_set.regions: got "us-wets-2", which is not a region; did you mean us-west-2?`:       set(block{"regions": []string{"us-wets-2"}}),
		`publish.stack_set.admin_region: got "eu-cental-1", which is not a region; did you mean`:           set(block{"admin_region": "eu-cental-1"}),
		`publish.stack_set.canary_region: got "us-esat-1", which is not a region; did you mean us-east-1?`: set(block{"canary_region": "us-esat-1"}),
		`publish.stack_set.operation_preferences.region_order: got "us-esat-1", which is not a region`:     set(block{"operation_preferences": block{"region_order": []string{"us-esat-1"}}}),
		`publish.s3.kms_key_id: got "nonsense", want the id, alias (alias/NAME) or ARN`:                    s3(block{"bucket": "t", "kms_key_id": "nonsense"}),
		`failure_tolerance_count: got -1, want at least 0`:                                                 set(block{"operation_preferences": block{"failure_tolerance_count": -1}}),
		`failure_tolerance_percentage: got 101, want 0 to 100`:                                             set(block{"operation_preferences": block{"failure_tolerance_percentage": 101}}),
		`max_concurrent_count: got 0, want at least 1`:                                                     set(block{"operation_preferences": block{"max_concurrent_count": 0}}),
		`max_concurrent_percentage: got 200, want 1 to 100`:                                                set(block{"operation_preferences": block{"max_concurrent_percentage": 200}}),
		`publish.stack_set.administration_role_arn: got "foo", want the ARN of a role`:                     set(block{"administration_role_arn": "foo"}),
		`publish.stack_set.execution_role_name: got "a b", want the name of a role`:                        set(block{"execution_role_name": "a b"}),
		`publish.stack_set.parameters: got the name "", want`:                                              set(block{"parameters": block{"": "x"}}),
		`us-east-1 and cn-north-1 are in different partitions`:                                             s3(block{"bucket": "t-{{ .Region }}", "regions": []string{"us-east-1", "cn-north-1"}}),
		`publish.s3.acl: got "open", want a canned ACL`:                                                    s3(block{"bucket": "t", "acl": "open"}),
		`publish.s3.keep_versions: got 1, want 0`:                                                          s3(block{"bucket": "t", "keep_versions": 1}),
		`publish.ssm.name: not set`:                                                                        with("ssm", block{"timeout": "1m"}),
		`publish.ssm.name: got "a b", want letters`:                                                        with("ssm", block{"name": "a b"}),
		`publish.ssm.name: "/aws/x"; names that begin with aws`:                                            with("ssm", block{"name": "/aws/x"}),
		`publish.ssm.versioned_name: got "/x", want {{ .Version }}`:                                        with("ssm", block{"versioned_name": "/x"}),
		`publish.stack_set.name: got "1", want`:                                                            with("stack_set", block{"name": "1", "accounts": []string{"111111111111"}}),
		`publish.stack_set.accounts: got 0 accounts`:                                                       with("stack_set", block{"name": "x"}),
		`publish.stack_set.accounts: got "1", want a 12-digit`:                                             with("stack_set", block{"name": "x", "accounts": []string{"1"}}),
		`publish.stack_set.canary_region: got "eu-west-1", want one`:                                       with("stack_set", block{"name": "x", "accounts": []string{"111111111111"}, "regions": []string{"us-east-1"}, "canary_region": "eu-west-1"}),
		`publish.stack_set.on_failure: got "retry", want rollback or`:                                      with("stack_set", block{"name": "x", "accounts": []string{"111111111111"}, "on_failure": "retry"}),
		`publish.stack_set.capabilities: got "ALL", want`:                                                  with("stack_set", block{"name": "x", "accounts": []string{"111111111111"}, "capabilities": []string{"ALL"}}),
		`parameter_overrides[0].regions: not set, nor accounts`:                                            set(block{"parameter_overrides": []block{{"parameters": block{"A": "b"}}}}),
		`parameter_overrides[0].parameters: not set; expected the values`:                                  set(block{"parameter_overrides": []block{{"regions": []string{"us-east-1"}}}}),
		`parameter_overrides[1].regions: got "us-esat-1", which is not a region`:                           set(block{"parameter_overrides": []block{{"regions": []string{"us-east-1"}, "parameters": block{"A": "b"}}, {"regions": []string{"us-esat-1"}, "parameters": block{"A": "b"}}}}),
		`parameter_overrides[0].regions: got "eu-west-1", want any of the regions`:                         set(block{"regions": []string{"us-east-1"}, "parameter_overrides": []block{{"regions": []string{"eu-west-1"}, "parameters": block{"A": "b"}}}}),
		`parameter_overrides[0].accounts: got "222222222222", want any of`:                                 set(block{"parameter_overrides": []block{{"accounts": []string{"222222222222"}, "parameters": block{"A": "b"}}}}),
		`parameter_overrides[0].accounts: got "1", want a 12-digit`:                                        set(block{"parameter_overrides": []block{{"accounts": []string{"1"}, "parameters": block{"A": "b"}}}}),
		`parameter_overrides[0].parameters: got the name "a b", want`:                                      set(block{"parameter_overrides": []block{{"regions": []string{"us-east-1"}, "parameters": block{"a b": "b"}}}}),
		`publish.stack_set.auto_deployment: set; expected it only with organizational_units`:               set(block{"auto_deployment": block{"enabled": true}}),
		`auto_deployment.retain_stacks_on_account_removal: set; expected it only with`:                     with("stack_set", block{"name": "x", "organizational_units": []string{"ou-ab12-cdefgh34"}, "auto_deployment": block{"retain_stacks_on_account_removal": true}}),
		`publish.stack_set.permission_model: got "SELF_MANAGED", want`:                                     with("stack_set", block{"name": "x", "organizational_units": []string{"ou-ab12-cdefgh34"}, "permission_model": "SELF_MANAGED"}),
		``: with("stack_set", block{"name": "x", "accounts": []string{"111111111111"}, "parameters": block{"A": "b"},
			"parameter_overrides": []block{{"regions": []string{"us-east-1"}, "accounts": []string{"111111111111"}, "parameters": block{"A": "c"}}},
			"admin_region":        "us-east-9", "administration_role_arn": "arn:aws-us-gov:iam::111111111111:role/path/Admin", "execution_role_name": "Exec_1+=,.@-",
			"operation_preferences": block{"failure_tolerance_count": 0, "max_concurrent_percentage": 50}}),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/t", []byte(template), 0o644); err != nil {
			t.Fatal(err)
		}
		err := new(PostProcessor).Configure(map[string]any{"template": dir + "/t", "publish": publish})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: got error %v, want %q", publish, err, want)
		}
	}
}

// TestPublishSize: a template that CloudFormation does not accept is reported before the
// build.
func TestPublishSize(t *testing.T) {
	path := t.TempDir() + "/t"
	if err := os.WriteFile(path, []byte(template+"# "+strings.Repeat("x", 1<<20)), 0o644); err != nil {
		t.Fatal(err)
	}
	settings := publishTo("templates")
	settings["template"] = path
	if err := new(PostProcessor).Configure(settings); err == nil || !strings.Contains(err.Error(), "CloudFormation accepts at most 1048576 from S3") {
		t.Errorf("got error %v", err)
	}
}
