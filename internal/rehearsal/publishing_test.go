// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// The AWS CLI publishes by hand, and is redirected to the bucket's region.
func TestAWSCLIPublishes(t *testing.T) {
	needs(t, "aws", "--version")
	server, _, env := judged(t, Config{Pace: pace.Instant})
	file := filepath.Join(t.TempDir(), "stack.template")
	if err := os.WriteFile(file, []byte("Resources: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	aws := func(args string) string { t.Helper(); return judge(t, env, "aws", strings.Fields(args)...) }
	aws("s3api create-bucket --bucket judge-cli --create-bucket-configuration LocationConstraint=eu-central-1")
	aws("s3 cp --only-show-errors " + file + " s3://judge-cli/templates/latest/stack.template")
	if said := aws("s3 ls s3://judge-cli/templates/"); !strings.Contains(said, "PRE latest/") {
		t.Errorf("s3 ls says %q", said)
	}
	if said := aws("s3 cp s3://judge-cli/templates/latest/stack.template -"); said != "Resources: {}\n" {
		t.Errorf("s3 cp says %q", said)
	}
	aws("ssm put-parameter --name /judge/cli --type String --value x")
	if said := aws("ssm get-parameter --name /judge/cli --query Parameter.Value --output text"); said != "x\n" {
		t.Errorf("ssm says %q", said)
	}
	calls := server.Calls()["eu-central-1"]
	if calls["PutObject"] != 1 || calls["GetObject"] != 1 || calls["PutParameter"] != 1 {
		t.Errorf("counted %v", calls)
	}
	list := server.Inventory()["eu-central-1"]
	if len(list) != 2 || list[0].Kind != "bucket" || list[1].Kind != "parameter" || list[0].Leaked() || list[1].Leaked() {
		t.Errorf("the inventory is %+v", list)
	}
}
