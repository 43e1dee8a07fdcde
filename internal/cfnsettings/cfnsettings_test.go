// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfnsettings

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/zclconf/go-cty/cty"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// TestSplit: the attribute is JSON in HCL and a map in a JSON template. Split leaves
// everything else unchanged.
func TestSplit(t *testing.T) {
	object := func(v cty.Value) cty.Value {
		return cty.ObjectVal(map[string]cty.Value{"settings": v, "region": cty.StringVal("eu-central-1")})
	}
	for name, test := range map[string]struct {
		raw  any
		want string // the template; empty without options
		err  string
	}{
		"HCL":                 {object(cty.StringVal(`{"template": "t"}`)), "t", ""},
		"HCL, not set":        {object(cty.NullVal(cty.String)), "", ""},
		"HCL, unknown":        {object(cty.UnknownVal(cty.String)), hclvalue.Unknown, ""},
		"HCL, a placeholder":  {object(cty.StringVal(hclvalue.Unknown)), hclvalue.Unknown, ""},
		"no such attribute":   {cty.EmptyObjectVal, "", ""},
		"JSON":                {map[string]any{"settings": map[string]any{"template": "t"}}, "t", ""},
		"JSON, as text":       {map[string]any{"settings": `{"template": "t"}`}, "t", ""},
		"not JSON":            {map[string]any{"settings": "t.template"}, "", `settings: got "t.template", want a JSON object`},
		"a list":              {map[string]any{"settings": "[1]"}, "", "want a JSON object"},
		"null":                {map[string]any{"settings": "null"}, "", "want a JSON object"},
		"a number":            {map[string]any{"settings": 1}, "", "settings: got 1, want JSON"},
		"other configuration": {"packer", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			rest, options, err := Split([]any{test.raw}, JSON)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if got, _ := options["template"].(string); err != nil || got != test.want || len(rest) != 1 {
				t.Errorf("got %v, %v, %v", rest, options, err)
			}
			if v, ok := rest[0].(cty.Value); ok && (v.Type().HasAttribute("settings") || test.raw.(cty.Value).Type().HasAttribute("region") != v.Type().HasAttribute("region")) {
				t.Errorf("got remaining settings %#v", v)
			}
		})
	}
}

// TestDifferences: a difference names its option, but never a parameter value.
func TestDifferences(t *testing.T) {
	count := int32(1)
	base := func() *Settings {
		s := &Settings{Template: "t", RequiredRegions: []string{"rows"}}
		s.Publish.S3.Bucket, s.Publish.S3.Regions = "b", []string{"us-east-1", "eu-west-1", "sa-east-1"}
		s.Publish.StackSet.Parameters = map[string]string{"Wallet": "0xsecret"}
		s.Publish.StackSet.ParameterOverrides = []ParameterOverrides{{Regions: []string{"us-east-1"}, Parameters: map[string]string{"Wallet": "0xsecret"}}}
		s.Publish.StackSet.OperationPreferences.FailureToleranceCount = &count
		return s
	}
	for want, change := range map[string]func(*Settings){
		"":                               func(*Settings) {},
		`template: got "u", checked "t"`: func(s *Settings) { s.Template = "u" },
		`required_regions: got "build, rows", checked "rows"`: func(s *Settings) { s.RequiredRegions = append(s.RequiredRegions, "build") },
		`verify_amis: got "false", checked "true"`:            func(s *Settings) { s.VerifyAMIs = config.TriFalse },
		`publish.s3.regions: got "eu-west-1, sa-east-1, us-east-1", checked "us-east-1, eu-west-1, sa-east-1"`: func(s *Settings) {
			s.Publish.S3.Regions = []string{"eu-west-1", "us-east-1", "sa-east-1"}
		},
		`publish.s3.bucket: got "c", checked "b"`:                                              func(s *Settings) { s.Publish.S3.Bucket = "c" },
		`publish.ssm.name: got "/n", checked ""`:                                               func(s *Settings) { s.Publish.SSM.Name = "/n" },
		`publish.stack_set.parameters["Pool"]: got "set", checked ""`:                          func(s *Settings) { s.Publish.StackSet.Parameters["Pool"] = "p" },
		`publish.stack_set.operation_preferences.failure_tolerance_count: got "", checked "1"`: func(s *Settings) { s.Publish.StackSet.OperationPreferences.FailureToleranceCount = nil },
		`publish.stack_set.parameter_overrides[0].parameters["Pool"]: got "set", checked ""`: func(s *Settings) {
			s.Publish.StackSet.ParameterOverrides[0].Parameters["Pool"] = "0xsecret"
		},
		`publish.stack_set.parameter_overrides[0].regions: got "eu-west-1", checked "us-east-1"`: func(s *Settings) {
			s.Publish.StackSet.ParameterOverrides[0].Regions = []string{"eu-west-1"}
		},
		`attributes["arm64"]: got "ARM", checked ""`: func(s *Settings) { s.Attributes = map[string]string{"arm64": "ARM"} },
	} {
		checked, now := base(), base()
		change(now)
		if want == "" { // equivalent settings
			now.Template, now.VerifyAMIs = "./t", config.TriTrue
			checked.LaunchAccounts, now.LaunchAccounts = []string{"1", "2"}, []string{"2", "1"}
			now.Publish.S3.Regions = []string{"us-east-1", "sa-east-1", "eu-west-1"}
		}
		if strings.Contains(checked.Text(), "0xsecret") {
			t.Error("got a parameter value in the text")
		}
		if got := strings.Join(now.Differences(checked.Text()), "\n"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestForecast: the post-processor's edits are predicted before the build.
func TestForecast(t *testing.T) {
	const text = `Mappings:
  M:
    us-east-1: {AMI: ami-TODO, ARM: ami-TODO}
    eu-west-1: {AMI: ami-00000000, ARM: ami-0123456789abcdef0}
    sa-east-1: {AMI: ami-0123456789abcdef1, ARM: ''}
Resources: {}
`
	for name, test := range map[string]struct {
		build   Build
		options string
		planned []string // regions of future images
		later   bool     // other builds may fill missing cells
		err     string
	}{
		"published":             {Build{Regions: []string{"us-east-1"}}, `"publish": {"s3": {"bucket": "b"}}`, []string{"us-east-1"}, false, ""},
		"not published":         {Build{Regions: []string{"us-east-1"}}, `"attribute": "AMI"`, nil, false, ""},
		"dry run":               {Build{Regions: []string{"us-east-1"}}, `"dry_run": true, "publish": {"s3": {"bucket": "b"}}`, nil, false, ""},
		"no such map":           {Build{}, `"mapping": "N"`, nil, false, "no map N"},
		"rows required":         {Build{Regions: []string{"us-east-1", "eu-west-1"}}, `"required_regions": ["rows"]`, nil, false, ""},
		"the build's required":  {Build{Regions: []string{"us-east-1"}}, `"required_regions": ["build", "ap-south-1"]`, nil, false, "ap-south-1.AMI"},
		"stale rows":            {Build{Regions: []string{"us-east-1"}}, `"stale_regions": "fail"`, nil, false, "eu-west-1, sa-east-1"},
		"one bucket, regions":   {Build{Regions: []string{"us-east-1", "eu-west-1"}}, `"publish": {"s3": {"bucket": "b"}}`, nil, false, "have the same bucket"},
		"by architecture":       {Build{Architecture: "arm64", Regions: []string{"us-east-1"}}, `"attributes": {"x86_64": "AMI", "arm64": "ARM"}, "publish": {"s3": {"bucket": "b"}}`, []string{"us-east-1"}, false, ""},
		"by build":              {Build{Name: "x", Regions: []string{"us-east-1"}}, `"attributes": {"x": "AMI"}`, nil, false, ""},
		"neither":               {Build{Name: "y", Architecture: "arm64"}, `"attributes": {"x": "AMI"}`, nil, false, `no entry for the build "y" or its architecture "arm64"`},
		"a future manifest":     {Build{Regions: []string{"us-east-1"}}, `"manifest": "DIR/none.json", "publish": {"s3": {"bucket": "b-{{ .Region }}", "regions": ["us-east-1", "eu-west-1"]}}`, []string{"us-east-1"}, true, ""},
		"a row of no build":     {Build{Regions: []string{"us-east-1"}}, `"publish": {"s3": {"bucket": "b-{{ .Region }}", "regions": ["us-east-1", "eu-west-1"]}}`, []string{"us-east-1"}, false, ""},
		"unknown canary region": {Build{Regions: []string{"us-east-1"}}, `"publish": {"s3": {"bucket": "b"}, "stack_set": {"name": "m", "accounts": ["111111111111"], "canary_region": "eu-west-1"}}`, nil, false, `canary_region: got "eu-west-1"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "t")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			options := test.options
			if !strings.Contains(options, `"mapping"`) {
				options = `"mapping": "M", ` + options
			}
			s, err := Read(fmt.Sprintf(`{"template": %q, %s}`, path, strings.ReplaceAll(options, "DIR", dir)))
			var f *publish.Forecast
			if err == nil {
				f, err = s.Forecast(test.build)
			}
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var planned []string
			later := false
			if f != nil {
				for image := range maps.Keys(f.Planned) {
					planned = append(planned, image.Region)
				}
				later = f.Later
			}
			slices.Sort(planned)
			if !slices.Equal(planned, test.planned) || later != test.later {
				t.Errorf("got planned %v, later %v", planned, later)
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != text {
				t.Error("the template changed")
			}
		})
	}
}

// TestOutput: an output that cannot be written is detected, and the check leaves no file.
func TestOutput(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for output, want := range map[string]string{
		filepath.Join(dir, "out"):         "",
		filepath.Join(dir, "a", "b", "o"): "",
		file:                              "",
		dir:                               "is a folder; expected a file",
		filepath.Join(file, "out"):        "is not a folder",
		filepath.Join(file, "a", "out"):   "is not a folder",
	} {
		s := &Settings{Template: hclvalue.Unknown, Output: output}
		var said []string
		s.Prepare("", func(format string, args ...any) { said = append(said, fmt.Errorf(format, args...).Error()) })
		if got := strings.Join(said, "\n"); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", output, got, want)
		}
		if err := s.CheckWritable(); (err == nil) != (want == "") {
			t.Errorf("%s: %v", output, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("got files %v, want none", left)
	}
}
