// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

func TestPrepareDefaults(t *testing.T) {
	var c Config
	warnings, err := c.Prepare(map[string]any{"region": "eu-central-1"})
	if err != nil || len(warnings) != 0 {
		t.Fatalf("got %v, %v, want no error with only a region", err, warnings)
	}
	for what, ok := range map[string]bool{
		"a timestamp in the name":        strings.HasPrefix(c.AMIName, "ethminer-1") && !strings.Contains(c.AMIName, "{{"),
		"a GPU type":                     c.InstanceType == "g4dn.xlarge",
		"Canonical's images":             slices.Equal(c.SourceAmiFilter.Owners, []string{"099720109477"}),
		"Ubuntu 24.04 for amd64":         strings.Contains(c.SourceAmiFilter.Filters["name"], "noble-24.04-amd64"),
		"Ubuntu's user":                  c.Comm.SSHUsername == "ubuntu",
		"IMDSv2":                         c.Metadata.HttpTokens == "required",
		"SSH from the caller only":       c.TemporarySGSourcePublicIp,
		"the build id on every resource": c.RunTags[tags.BuildID] == c.buildID && c.buildID != "",
		"no rehearsal":                   !c.Rehearsal,
	} {
		if !ok {
			t.Errorf("want by default %s, got %+v", what, c)
		}
	}
}

func TestPrepareSelectsSourceByArchitecture(t *testing.T) {
	var c Config
	if _, err := c.Prepare(map[string]any{"region": "us-east-1", "instance_type": "g5g.xlarge"}); err != nil {
		t.Fatal(err)
	}
	if name := c.SourceAmiFilter.Filters["name"]; !strings.Contains(name, "arm64") {
		t.Errorf("got source %q, want arm64: g5g is Graviton", name)
	}
}

// TestPrepareTwice: Packer core prepares a builder once to validate and once to build.
func TestPrepareTwice(t *testing.T) {
	var c Config
	raw := map[string]any{"region": "us-east-1", "ami_regions": []string{"us-west-1", "us-east-1", "us-west-1"}}
	for range 2 {
		if _, err := c.Prepare(raw); err != nil {
			t.Fatal(err)
		}
		if got := c.ImageRegions("us-east-1"); !slices.Equal(got, []string{"us-east-1", "us-west-1"}) {
			t.Fatalf("got regions %v, want each once", got)
		}
	}
}

func TestPrepareErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]any
		want   []string // parts of the error
	}{
		{"region syntax", map[string]any{"region": "useast1"}, []string{`region: got "useast1", want a region`, `did you mean us-east-1?`}},
		{"a zone instead of a region", map[string]any{"region": "us-east-1a"}, []string{`region: got "us-east-1a"`}},
		{"region syntax in a list", map[string]any{"ami_regions": []string{"us-west-2", "eu_west_1"}}, []string{`ami_regions[1]: got "eu_west_1"`}},
		{"an empty region", map[string]any{"ami_regions": []string{""}}, []string{`ami_regions[0]: got ""`}},
		{"an empty list", map[string]any{"ami_regions": []string{}}, []string{"ami_regions: got an empty list", "remove the attribute"}},
		{"all errors at once", map[string]any{"region": "x", "ami_regions": []string{"y"}, "ami_name": "a"}, []string{`region: got "x"`, `ami_regions[0]: got "y"`, `ami_name: got "a" with 1 characters, want 3 to 128`}},
		{"a rehearsal needs its region", map[string]any{"region": "", "rehearsal": true}, []string{"region: not set", "AWS_REGION"}},
		{"an unknown rehearsal instance", map[string]any{"rehearsal": true, "rehearsal_instance": "docker"}, []string{"rehearsal_instance", "docker", "sandbox", "none"}},
		{"an invalid rehearsal latency", map[string]any{"rehearsal": true, "rehearsal_latency": "soon"}, []string{"rehearsal_latency", "soon"}},
		{"several errors in the latency", map[string]any{"rehearsal": true, "rehearsal_latency": "running=abc,foo=3s"}, []string{
			`running: got "abc", want a duration`, `rehearsal_latency: latency "running=abc,foo=3s": unknown setting "foo"`}},
		{"a template error among others", map[string]any{"release_family": "{{timestamp", "tags": map[string]any{"a": "{{"}, "capacity_timeout": "soon", "region": "us-esat-1"}, []string{
			`release_family: got "{{timestamp", want a valid template such as "{{timestamp}}": unclosed action`, `tags.a: got "{{"`, "capacity_timeout: got", "region: got"}},
		{"a rehearsal dials loopback only", map[string]any{"rehearsal": true, "ssh_bastion_host": "bastion.example.com", "ssh_host": "192.0.2.1"}, []string{"ssh_bastion_host: not supported in a rehearsal", "ssh_host: not supported"}},
		{"a spot instance cannot be modified", map[string]any{"spot_price": "auto", "ena_support": true}, []string{"ena_support"}},
		{"types in two options", map[string]any{"instance_type": "g4dn.xlarge", "spot_instance_types": []string{"g5.xlarge"}}, []string{"instance_type, instance_types, spot_instance_types: got several, want one"}},
		{"an unknown market", map[string]any{"markets": []string{"on-demand", "fleet"}}, []string{`markets[1]: got "fleet"`, `"capacity-reservation"`}},
		{"a strategy for several instances", map[string]any{"markets": []string{"spot"}, "spot_allocation_strategy": "diversified"}, []string{
			`spot_allocation_strategy: got "diversified", which spreads several instances, but a build launches one; want "price-capacity-optimized", "capacity-optimized", `, `remove it for the default`}},
		{"an unknown strategy", map[string]any{"spot_allocation_strategy": "cheapest"}, []string{
			`spot_allocation_strategy: got "cheapest", want "price-capacity-optimized", "capacity-optimized", "capacity-optimized-prioritized", "lowest-price" or "in-order"`}},
		{"a market twice", map[string]any{"markets": []string{"spot", "spot"}}, []string{`markets[1]: "spot" is a duplicate`}},
		{"an empty type", map[string]any{"instance_types": []string{"g4dn.xlarge", ""}}, []string{"instance_types[1]: empty"}},
		{"an invalid spot price", map[string]any{"spot_price": "cheap"}, []string{`spot_price: got "cheap", want US dollars`}},
		{"a spot price without the market", map[string]any{"spot_price": "0.2", "markets": []string{"on-demand"}}, []string{`spot_price: got "0.2", but markets does not contain "spot"`}},
		{"a reservation without the market", map[string]any{"capacity_reservation_id": "cr-1", "markets": []string{"spot"}}, []string{`markets does not contain "capacity-reservation"`}},
		{"a capacity block without its id", map[string]any{"markets": []string{"capacity-block"}}, []string{`capacity_reservation_id: not set, but markets contains "capacity-block"`}},
		{"a capacity block that contradicts the preference", map[string]any{"capacity_reservation_id": "cr-0123456789abcdef0", "capacity_reservation_preference": "none", "markets": []string{"capacity-block"}},
			[]string{`capacity_reservation_preference: got "none", but markets contains "capacity-block"`}},
		{"a capacity block and a reservation", map[string]any{"capacity_reservation_id": "cr-0123456789abcdef0", "markets": []string{"capacity-block", "capacity-reservation"}},
			[]string{`markets: got both "capacity-reservation" and "capacity-block"`}},
		{"a group with a capacity block", map[string]any{"capacity_reservation_id": "cr-0123456789abcdef0", "capacity_reservation_group_arn": "arn:aws:resource-groups:us-east-1:111122223333:group/g", "markets": []string{"capacity-block"}},
			[]string{"capacity_reservation_group_arn: got"}},
		{"a market that contradicts the preference", map[string]any{"capacity_reservation_preference": "none", "markets": []string{"capacity-reservation"}}, []string{"capacity_reservation_preference"}},
		{"spot blocks", map[string]any{"spot_price": "auto", "block_duration_minutes": 60}, []string{"block_duration_minutes: got 60, but AWS no longer offers"}},
		{"subnets in two options", map[string]any{"subnet_id": "subnet-1", "subnet_ids": []string{"subnet-2"}}, []string{"subnet_id, subnet_ids: got both, want one"}},
		{"zones in two options", map[string]any{"availability_zone": "us-east-1a", "availability_zones": []string{"us-east-1b"}}, []string{"availability_zone, availability_zones: got both, want one"}},
		{"a price of zero", map[string]any{"prices": map[string]any{"g4dn.xlarge": 0}}, []string{`prices["g4dn.xlarge"]: got "0", want`}},
		{"a price of an unknown type", map[string]any{"prices": map[string]any{"g4dn.xlarg": 1, "t3.micro": 1, "g5.xlarge": 1}}, []string{
			`prices["g4dn.xlarg"]: neither a type of this build nor a known GPU type, want g4dn.xlarge; did you mean g4dn.xlarge? remove`, `prices["t3.micro"]: neither`}},
		{"invalid ports", map[string]any{"ssh_port": 99999, "ssh_bastion_port": -1, "ssh_proxy_port": 65536, "session_manager_port": 70000}, []string{
			"ssh_port: got 99999, want a port from 1 to 65535", "ssh_bastion_port: got -1", "ssh_proxy_port: got 65536", "session_manager_port: got 70000"}},
		{"negative durations", map[string]any{"ssh_timeout": "-3s", "ssh_read_write_timeout": "-1s", "pause_before_connecting": "-1s", "pause_before_ssm": "-1s"}, []string{
			`ssh_timeout: got -3s, want a duration of 0 or more`, "ssh_read_write_timeout: got -1s", "pause_before_connecting: got -1s", "pause_before_ssm: got -1s"}},
		{"negative polling values", map[string]any{"aws_polling": map[string]any{"delay_seconds": -1, "max_attempts": -2}}, []string{
			"aws_polling.delay_seconds: got -1, want a number of seconds", "aws_polling.max_attempts: got -2, want"}},
		{"an unknown volume type", map[string]any{"launch_block_device_mappings": []map[string]any{
			{"device_name": "/dev/sda1", "volume_type": "<unknown>"}, {"device_name": "/dev/sdf", "volume_type": "gp9"},
		}}, []string{`launch_block_device_mappings[1].volume_type: got "gp9", want one of gp2, gp3, io1, io2, sc1, st1, standard`}},
		{"an unknown capture mode", map[string]any{"capture": "freeze"}, []string{`capture: got "freeze"`, `"stop", "reboot" or "no-reboot"`}},
		{"no reboot, but a stopped instance", map[string]any{"capture": "no-reboot", "disable_stop_instance": true}, []string{`capture, disable_stop_instance: capture = "no-reboot" requires a running instance`}},
		{"a capture that needs a stopped instance", map[string]any{"capture": "reboot", "ena_support": true, "disable_stop_instance": true}, []string{"capture, ena_support", "capture, disable_stop_instance"}},
		{"a cost limit without a time limit", map[string]any{"max_build_cost": 5, "max_build_time": "0"}, []string{"max_build_cost: requires a limit of the build time"}},
		{"negative limits", map[string]any{"max_price_per_hour": -1, "spot_restarts": -1, "capacity_timeout": "-1h"}, []string{"max_price_per_hour: got less than 0", "spot_restarts: got less", "capacity_timeout: got less"}},
		{"an MFA code without a serial number", map[string]any{"mfa_code": "123456"}, []string{"mfa_code: not supported, as AWS also requires the serial number", "get-session-token"}},
		{"a deprecation time in the past", map[string]any{"deprecate_at": "2020-01-01T00:00:00Z"}, []string{`deprecate_at: got "2020-01-01T00:00:00Z", want a time in the future`}},
		{"a deprecation time that is too late", map[string]any{"deprecate_at": "2999-01-01T00:00:00Z"}, []string{`deprecate_at: got "2999-01-01T00:00:00Z", want`, "at most 10 years from now"}},
		{"invalid durations", map[string]any{"capacity_timeout": "1 hour", "pause_before_ssm": "soon", "region": "us-esat-1"}, []string{
			`capacity_timeout: got "1 hour", want a duration such as`, `pause_before_ssm: got "soon", want`, `region: got "us-esat-1", which is not a region; did you mean us-east-1?`}},
		{"an invalid duration of the communicator", map[string]any{"ssh_timeout": "5 min", "ami_name": "a"}, []string{`ssh_timeout: got "5 min"`, `ami_name: got "a"`}},
		{"empty lists", map[string]any{"markets": []string{}, "subnet_ids": []string{}}, []string{"markets: got an empty list", "subnet_ids: got an empty"}},
		{"launch_test", map[string]any{"ami_regions": []string{"us-west-1"}, "on_launch_test_failure": "retry", "launch_test": map[string]any{
			"checks": []string{"xids"}, "regions": []string{"eu-west-1"}, "uptime": "2h", "timeout": "10s", "max_difference": 2, "user_data_file": "/nonexistent", "pool_check": map[string]any{"pool": "x"}}}, []string{
			`on_launch_test_failure: got "retry", want "rollback" or "keep"`, `launch_test.checks[0]: got "xids", want cloud-init, system, service, hash-rate, xid; did you mean xid?`,
			`launch_test.regions[0]: got "eu-west-1", want a region of the build (us-east-1, us-west-1)`, `launch_test.uptime "2h": expected a duration from 1s to 1h0m0s`, `launch_test.timeout "10s": expected a duration from 5m0s`,
			"launch_test.max_difference: got 2, want a share from 0.01 to 1", "launch_test.user_data_file: open /nonexistent", `launch_test.pool_check: pool "x": expected a scheme`}},
		{"launch_test without an image or SSH", map[string]any{"skip_create_ami": true, "communicator": "none", "launch_test": map[string]any{"regions": []string{"all", "us-east-1"}}}, []string{
			"launch_test, skip_create_ami: both are set", `launch_test, communicator: got "none", want "ssh"`, `launch_test.regions: got "all" among others`}},
		{"an unknown region of a key", map[string]any{"ami_regions": []string{"eu-cental-1"}, "encrypt_boot": true, "region_kms_key_ids": map[string]string{"eu-cental-1": "alias/x"}}, []string{
			`ami_regions[0]: got "eu-cental-1"`, `region_kms_key_ids["eu-cental-1"]: got "eu-cental-1", which is not a region; did you mean eu-central-1?`}},
		{"an unknown region of an image", map[string]any{"source_ami_from": "eu-cental-1:ami-0123456789abcdef0"}, []string{`source_ami_from: got "eu-cental-1"`}},
		{"Windows", map[string]any{"communicator": "winrm", "winrm_username": "x"}, []string{`communicator: got "winrm", want`}},
		{"an unknown option", map[string]any{"ami_region": "us-east-1"}, []string{"ami_region"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := map[string]any{"region": "us-east-1"}
			maps.Copy(raw, test.config)
			var c Config
			_, err := c.Prepare(raw)
			if err == nil {
				t.Fatalf("%v: got no error, want one", test.config)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got error without %q:\n%v", want, err)
				}
			}
		})
	}
}

// TestPrepareAcceptsUnknownValues: Packer passes a placeholder for values that are
// unknown during validation, such as a data source's.
func TestPrepareAcceptsUnknownValues(t *testing.T) {
	var c Config
	_, err := c.Prepare(map[string]any{"region": "<unknown>", "ami_regions": []string{"<unknown>"}})
	if err != nil {
		t.Error(err)
	}
}

func TestTargets(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]any
		want   map[string]string // region: key, "-" for an unencrypted copy
	}{
		{"only the build's region", nil, map[string]string{"us-east-1": "-"}},
		{"copies", map[string]any{"ami_regions": []string{"us-west-1"}}, map[string]string{"us-east-1": "-", "us-west-1": "-"}},
		{"not in the build's region", map[string]any{"ami_regions": []string{"us-west-1"}, "skip_save_build_region": true}, map[string]string{"us-west-1": "-"}},
		{"encrypted: the build's region is a copy too", map[string]any{
			"ami_regions": []string{"us-west-1"}, "encrypt_boot": true,
			"kms_key_id": "alias/here", "region_kms_key_ids": map[string]string{"us-west-1": "alias/there"},
		}, map[string]string{"us-east-1": "alias/here", "us-west-1": "alias/there"}},
		{"the build's region named with its key", map[string]any{
			"ami_regions": []string{"us-east-1", "us-west-1"}, "encrypt_boot": true,
			"region_kms_key_ids": map[string]string{"us-east-1": "alias/a", "us-west-1": "alias/b"},
		}, map[string]string{"us-east-1": "alias/a", "us-west-1": "alias/b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := map[string]any{"region": "us-east-1"}
			maps.Copy(raw, test.config)
			var c Config
			if _, err := c.Prepare(raw); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, target := range c.Targets("us-east-1") {
				key := "-"
				if target.Encrypted != nil && *target.Encrypted {
					key = target.KMSKeyID
				}
				got[target.Region] = key
			}
			if !maps.Equal(got, test.want) {
				t.Errorf("got targets %v, want %v", got, test.want)
			}
		})
	}
}

func TestWaiter(t *testing.T) {
	for _, test := range []struct {
		name              string
		config            map[string]any
		interval, timeout time.Duration
	}{
		{"by default", nil, pollInterval, pollTimeout},
		{"both", map[string]any{"delay_seconds": 5, "max_attempts": 10}, 5 * time.Second, 50 * time.Second},
		{"max_attempts alone uses amazon-ebs's delay", map[string]any{"max_attempts": 60}, pollInterval, 15 * time.Minute},
		{"delay_seconds alone keeps the timeout", map[string]any{"delay_seconds": 30}, 30 * time.Second, pollTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c Config
			if _, err := c.Prepare(map[string]any{"region": "us-east-1", "aws_polling": test.config}); err != nil {
				t.Fatal(err)
			}
			got := c.Waiter()
			if fixed := test.interval != pollInterval; got.Fixed != fixed || fixed && (got.Soon != got.Interval || got.First != got.Interval) {
				t.Errorf("got fixed %t, first polls after %s and %s, want a fixed delay_seconds", got.Fixed, got.Soon, got.First)
			}
			if got.Interval != test.interval || got.Timeout != test.timeout {
				t.Errorf("got polls every %s for %s, want every %s for %s", got.Interval, got.Timeout, test.interval, test.timeout)
			}
		})
	}
}

// TestEmptyLists: `packer validate` passes an empty list for one of a data source, so only
// the build refuses it.
func TestEmptyLists(t *testing.T) {
	var c Config
	if _, err := c.Prepare(map[string]any{"region": "us-east-1", "instance_types": []string{}, "availability_zones": []string{}}); err != nil {
		t.Fatal(err)
	}
	err := c.EmptyLists()
	if err == nil || !strings.Contains(err.Error(), "instance_types: got an empty list") || !strings.Contains(err.Error(), "availability_zones: got an empty list") {
		t.Errorf("got error %v", err)
	}
}
