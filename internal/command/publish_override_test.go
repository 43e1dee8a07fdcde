// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// TestPublishOverrides: the plan file has the names of overrides, and the command line
// their values.
func TestPublishOverrides(t *testing.T) {
	mototest.Env(t, "http://127.0.0.1:1") // a dry run makes no calls
	spec, err := json.Marshal(publish.Spec{
		Name: "stack.template", Mapping: "M", Attributes: []string{"AMI"}, S3: publish.S3{Bucket: "templates", Regions: []string{"us-east-1"}},
		StackSet: &stackset.Config{
			Name: "mining", Region: "us-east-1", Regions: []string{"us-east-1"}, Accounts: []string{"111111111111"},
			Overrides: []stackset.Override{stackset.NewOverride([]string{"us-east-1"}, nil, map[string]string{"Subnets": "subnet-1"})},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	plan, template := filepath.Join(dir, "plan"), filepath.Join(dir, "stack.template")
	for path, text := range map[string]string{plan: string(spec), template: "Mappings: {M: {us-east-1: {AMI: ami-0123456789abcdef0}}}\nResources: {}\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		override, out, err string
		code               int
	}{
		{"", "", "has overrides of Subnets without their values; pass each with -parameter-override REGION/ACCOUNT/NAME=VALUE", exitError},
		{"us-east-1/*/Subnets=subnet-2", "overrides in us-east-1, all accounts: Subnets", "", exitOK},
		{"*/111111111111/Subnets=a=b", "overrides in all regions, 111111111111: Subnets", "", exitOK},
		{"us-west-2/*/Subnets=subnet-2", "", `parameter_overrides[0].regions: got "us-west-2", want any of regions (us-east-1)`, exitError},
		{"us-east-1/Subnets=subnet-2", "", `got "us-east-1/Subnets", want REGION/ACCOUNT/NAME=VALUE`, exitUsage},
		{"us-east-1/*/Subnets", "", "want REGION/ACCOUNT/NAME=VALUE", exitUsage},
	} {
		args := []string{"run", "-dry-run", "-plan", plan, template}
		if row.override != "" {
			args = []string{"run", "-dry-run", "-plan", plan, "-parameter-override", row.override, template}
		}
		code, out, errs := runPublishWith(t, "", false, args...)
		if code != row.code || !strings.Contains(out, row.out) || !strings.Contains(errs, row.err) {
			t.Errorf("%s: exit code %d\nstdout: %s\nstderr: %s", row.override, code, out, errs)
		}
		if strings.Contains(out+errs, "subnet-") && !strings.Contains(row.err, "want REGION") {
			t.Errorf("%s: a value is printed: %s%s", row.override, out, errs)
		}
	}
}
