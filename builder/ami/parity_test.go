// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/packer-plugin-amazon/builder/ebs"
)

// provenBy names the test of each option that TestOptionsTakeEffect does not cover.
// The SDK reads the communicator's options from the same struct.
var provenBy = map[string]string{
	"access_key": "TestCredentials", "secret_key": "TestCredentials", "token": "TestCredentials", "profile": "TestCredentials", "shared_credentials_file": "TestCredentials",
	"assume_role": "TestAssumeRole", "vault_aws_engine": "TestVault",
	"region": "TestAccessOptions", "custom_endpoint_ec2": "TestAccessOptions", "decode_authorization_messages": "TestAccessOptions", "insecure_skip_tls_verify": "TestAccessOptions",
	"max_retries": "TestAccessOptions", "skip_credential_validation": "TestAccessOptions", "skip_metadata_api_check": "TestAccessOptions",
	"aws_polling": "TestWaiter", "force_deregister": "TestReplace", "force_delete_snapshot": "TestForceDeregister", "disable_stop_instance": "TestShutdownBehavior",
	"capacity_reservation_preference": "TestLaunchParameters", "capacity_reservation_id": "TestReservationParameters", "capacity_reservation_group_arn": "TestReservationParameters",
	"spot_price_auto_product": "TestDeprecatedOptionsWarn",
	"source_ami":              "TestExistingResourceOptions", "subnet_id": "TestExistingResourceOptions", "subnet_filter": "TestExistingResourceOptions", "vpc_id": "TestExistingResourceOptions",
	"vpc_filter": "TestExistingResourceOptions", "security_group_id": "TestExistingResourceOptions", "security_group_ids": "TestExistingResourceOptions", "security_group_filter": "TestExistingResourceOptions",
	"temporary_security_group_source_cidrs": "TestSourceCidrs", "temporary_security_group_source_public_ip": "TestSourceCidrs",
	"pause_before_ssm": "TestSessionManager", "session_manager_port": "TestSessionManager", "ssh_interface": "TestSSHInterface",
	"ami_virtualization_type": "TestVirtualizationType", "communicator": "TestUnsupportedOptionsAreRejected",
}

var (
	tableRow    = regexp.MustCompile("(?m)^\\| (`[a-z0-9_]+`(?:, `[a-z0-9_]+`)*) \\| (same|better|not supported) \\|")
	packersOwn  = regexp.MustCompile(`^packer_`)
	communicate = regexp.MustCompile(`^(ssh|winrm)_|^pause_before_connecting$|^temporary_key_pair_bits$`)
	testFunc    = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// TestParityTable: the table of docs/amazon-ebs.md lists each option of amazon-ebs once.
// The builder has each option that the table calls supported, of the same type, and a
// test covers it.
func TestParityTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/amazon-ebs.md")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]string{}
	for _, row := range tableRow.FindAllStringSubmatch(string(text), -1) {
		for _, option := range strings.Split(row[1], ", ") {
			option = strings.Trim(option, "`")
			if table[option] != "" {
				t.Errorf("the table lists %s twice", option)
			}
			table[option] = row[2]
		}
	}
	tests := map[string]bool{}
	var files []string
	for _, folder := range []string{".", "options", "steps"} {
		found, _ := filepath.Glob(filepath.Join(folder, "*_test.go"))
		files = append(files, found...)
	}
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range testFunc.FindAllStringSubmatch(string(code), -1) {
			tests[found[1]] = true
		}
	}
	shown := map[string]bool{}
	for _, row := range effects {
		for option := range row.config {
			shown[option] = true
		}
	}
	theirs, ours := new(ebs.Builder).ConfigSpec(), new(Builder).ConfigSpec()
	for option, spec := range theirs {
		if packersOwn.MatchString(option) {
			continue
		}
		switch table[option] {
		case "":
			t.Errorf("the table lacks amazon-ebs's %s", option)
		case "same", "better":
			if !reflect.DeepEqual(ours[option], spec) {
				t.Errorf("%s (%s in the table): got spec %#v, want amazon-ebs's %#v", option, table[option], ours[option], spec)
			}
			if test := provenBy[option]; !shown[option] && !communicate.MatchString(option) && !tests[test] {
				t.Errorf("no test covers %s (%q)", option, test)
			}
		default:
			if ours[option] == nil {
				t.Errorf("%s is not supported but missing from the schema: Packer would not explain why", option)
			}
		}
	}
	for option := range table {
		if _, exists := theirs[option]; !exists {
			t.Errorf("the table lists %s, which amazon-ebs does not have", option)
		}
	}
}
