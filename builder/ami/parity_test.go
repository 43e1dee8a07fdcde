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

// provenBy names the test that shows what an option does, for those that
// TestOptionsTakeEffect has no row of. The communicator's own are the SDK's,
// which reads them from the same struct.
var provenBy = map[string]string{
	"access_key": "TestCredentials", "secret_key": "TestCredentials", "token": "TestCredentials", "profile": "TestCredentials", "shared_credentials_file": "TestCredentials",
	"assume_role": "TestAssumeRole", "vault_aws_engine": "TestVault",
	"region": "TestAccessOptions", "custom_endpoint_ec2": "TestAccessOptions", "decode_authorization_messages": "TestAccessOptions", "insecure_skip_tls_verify": "TestAccessOptions",
	"max_retries": "TestAccessOptions", "skip_credential_validation": "TestAccessOptions", "skip_metadata_api_check": "TestAccessOptions",
	"aws_polling": "TestWaiter", "force_deregister": "TestReplace", "force_delete_snapshot": "TestForceDeregister", "disable_stop_instance": "TestShutdownBehavior",
	"capacity_reservation_preference": "TestLaunchParameters", "capacity_reservation_id": "TestReservationParameters", "capacity_reservation_group_arn": "TestReservationParameters",
	"spot_price_auto_product": "TestDeprecatedOptionsAreWarnedAbout",
	"source_ami":              "TestOptionsThatNameWhatExists", "subnet_id": "TestOptionsThatNameWhatExists", "subnet_filter": "TestOptionsThatNameWhatExists", "vpc_id": "TestOptionsThatNameWhatExists",
	"vpc_filter": "TestOptionsThatNameWhatExists", "security_group_id": "TestOptionsThatNameWhatExists", "security_group_ids": "TestOptionsThatNameWhatExists", "security_group_filter": "TestOptionsThatNameWhatExists",
	"temporary_security_group_source_cidrs": "TestSourceCidrs", "temporary_security_group_source_public_ip": "TestSourceCidrs",
	"pause_before_ssm": "TestSessionManager", "session_manager_port": "TestSessionManager", "ssh_interface": "TestSSHInterface",
	"ami_virtualization_type": "TestVirtualizationType", "communicator": "TestWindowsOptionsAreRefused",
}

var (
	tableRow    = regexp.MustCompile("(?m)^\\| (`[a-z0-9_]+`(?:, `[a-z0-9_]+`)*) \\| (same|better|not supported) \\|")
	packersOwn  = regexp.MustCompile(`^packer_`)
	communicate = regexp.MustCompile(`^(ssh|winrm)_|^pause_before_connecting$|^temporary_key_pair_bits$`)
	testFunc    = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// The table of docs/amazon-ebs.md has each option of amazon-ebs once and no
// other; where it says that we take an option, we do, with the same block; and a
// test shows what it does.
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
				t.Errorf("%s is in the table twice", option)
			}
			table[option] = row[2]
		}
	}
	tests := map[string]bool{}
	files, _ := filepath.Glob("*_test.go")
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
			t.Errorf("amazon-ebs has %s, which the table lacks", option)
		case "same", "better":
			if !reflect.DeepEqual(ours[option], spec) {
				t.Errorf("the table says that %s is %s; here it is %#v, there %#v", option, table[option], ours[option], spec)
			}
			if test := provenBy[option]; !shown[option] && !communicate.MatchString(option) && !tests[test] {
				t.Errorf("no test shows what %s does (%q)", option, test)
			}
		default:
			if ours[option] == nil {
				t.Errorf("%s is not supported, and not known either: Packer would say nothing more than that", option)
			}
		}
	}
	for option := range table {
		if _, exists := theirs[option]; !exists {
			t.Errorf("the table has %s, which amazon-ebs does not", option)
		}
	}
}
