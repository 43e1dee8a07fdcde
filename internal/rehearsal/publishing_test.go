// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// The AWS CLI publishes files, and follows the redirect to the bucket's region.
func TestAWSCLIPublishes(t *testing.T) {
	requireProgram(t, "aws", "--version")
	server, _, env := startServer(t, Config{Pace: pace.Instant})
	file := filepath.Join(t.TempDir(), "stack.template")
	if err := os.WriteFile(file, []byte("Resources: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	aws := func(args string) string { t.Helper(); return runClient(t, env, "aws", strings.Fields(args)...) }
	aws("s3api create-bucket --bucket client-cli --create-bucket-configuration LocationConstraint=eu-central-1")
	aws("s3 cp --only-show-errors " + file + " s3://client-cli/templates/latest/stack.template")
	if output := aws("s3 ls s3://client-cli/templates/"); !strings.Contains(output, "PRE latest/") {
		t.Errorf("s3 ls printed %q", output)
	}
	if output := aws("s3 cp s3://client-cli/templates/latest/stack.template -"); output != "Resources: {}\n" {
		t.Errorf("s3 cp printed %q", output)
	}
	aws("ssm put-parameter --name /client/cli --type String --value x")
	if output := aws("ssm get-parameter --name /client/cli --query Parameter.Value --output text"); output != "x\n" {
		t.Errorf("ssm printed %q", output)
	}
	calls := server.Calls()["eu-central-1"]
	if calls["PutObject"] != 1 || calls["GetObject"] != 1 || calls["PutParameter"] != 1 {
		t.Errorf("got calls %v", calls)
	}
	list := server.Inventory()["eu-central-1"]
	slices.SortFunc(list, func(a, b ec2.Resource) int { return cmp.Compare(a.Kind, b.Kind) })
	if len(list) != 2 || list[0].Kind != "bucket" || list[1].Kind != "parameter" || list[0].Leaked() || list[1].Leaked() {
		t.Errorf("got inventory %+v", list)
	}
}
