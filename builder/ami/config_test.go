// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

func TestPrepareDefaults(t *testing.T) {
	var b Builder
	generated, warnings, err := b.Prepare(map[string]any{"region": "eu-central-1"})
	if err != nil || len(warnings) != 0 {
		t.Fatalf("region alone must be enough: %v, %v", err, warnings)
	}
	if !slices.Contains(generated, "SourceAMI") {
		t.Errorf("generated data %v does not name SourceAMI", generated)
	}
	c := b.config
	for what, ok := range map[string]bool{
		"a timestamp in the name":        strings.HasPrefix(c.AMIName, "ethminer-1") && !strings.Contains(c.AMIName, "{{"),
		"a GPU type":                     c.InstanceType == "g4dn.xlarge",
		"Canonical's images":             slices.Equal(c.SourceAmiFilter.Owners, []string{"099720109477"}),
		"Ubuntu 24.04 for amd64":         strings.Contains(c.SourceAmiFilter.Filters["name"], "noble-24.04-amd64"),
		"Ubuntu's user":                  c.Comm.SSHUsername == "ubuntu",
		"IMDSv2":                         c.Metadata.HttpTokens == "required",
		"SSH from the caller alone":      c.TemporarySGSourcePublicIp,
		"the build id on every resource": c.RunTags[tags.BuildID] == c.buildID && c.buildID != "",
		"no rehearsal":                   !c.Rehearsal,
	} {
		if !ok {
			t.Errorf("by default there must be %s: %+v", what, c)
		}
	}
}

func TestPrepareChoosesTheSourceByArchitecture(t *testing.T) {
	var b Builder
	if _, _, err := b.Prepare(map[string]any{"region": "us-east-1", "instance_type": "g5g.xlarge"}); err != nil {
		t.Fatal(err)
	}
	if name := b.config.SourceAmiFilter.Filters["name"]; !strings.Contains(name, "arm64") {
		t.Errorf("g5g is Graviton: the source is %q, want arm64", name)
	}
}

// Packer core prepares a builder once to validate and once to build.
func TestPrepareTwice(t *testing.T) {
	var b Builder
	raw := map[string]any{"region": "us-east-1", "ami_regions": []string{"us-west-1", "us-east-1", "us-west-1"}}
	for range 2 {
		if _, _, err := b.Prepare(raw); err != nil {
			t.Fatal(err)
		}
		if got := b.config.imageRegions("us-east-1"); !slices.Equal(got, []string{"us-east-1", "us-west-1"}) {
			t.Fatalf("regions %v, want each once", got)
		}
	}
}

func TestPrepareErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		config map[string]any
		want   []string // every one must be in the error
	}{
		{"region syntax", map[string]any{"region": "useast1"}, []string{`region: "useast1" is no region name`, "us-east-1"}},
		{"a zone is no region", map[string]any{"region": "us-east-1a"}, []string{`region: "us-east-1a"`}},
		{"region syntax in a list", map[string]any{"ami_regions": []string{"us-west-2", "eu_west_1"}}, []string{`ami_regions[1]: "eu_west_1"`}},
		{"an empty region", map[string]any{"ami_regions": []string{""}}, []string{`ami_regions[0]: ""`}},
		{"an empty list", map[string]any{"ami_regions": []string{}}, []string{"ami_regions: the list is empty", "leave the attribute out"}},
		{"all at once", map[string]any{"region": "x", "ami_regions": []string{"y"}, "ami_name": "a"}, []string{`region: "x"`, `ami_regions[0]: "y"`, "ami_name must be between 3 and 128"}},
		{"a rehearsal needs its region", map[string]any{"region": "", "rehearsal": true}, []string{"region: not set", "AWS_REGION"}},
		{"a rehearsal's instance", map[string]any{"rehearsal": true, "rehearsal_instance": "docker"}, []string{"rehearsal_instance", "docker", "sandbox", "none"}},
		{"a rehearsal's latency", map[string]any{"rehearsal": true, "rehearsal_latency": "soon"}, []string{"rehearsal_latency", "soon"}},
		{"a rehearsal dials loopback only", map[string]any{"rehearsal": true, "ssh_bastion_host": "bastion.example.com", "ssh_host": "192.0.2.1"}, []string{"ssh_bastion_host: a rehearsal", "ssh_host: a rehearsal"}},
		{"a spot instance cannot be modified", map[string]any{"spot_price": "auto", "ena_support": true}, []string{"ena_support"}},
		{"types by three options", map[string]any{"instance_type": "g4dn.xlarge", "spot_instance_types": []string{"g5.xlarge"}}, []string{"instance_type, instance_types, spot_instance_types: expected one"}},
		{"a market", map[string]any{"markets": []string{"on-demand", "fleet"}}, []string{`markets[1]: "fleet"`, `"capacity-reservation"`}},
		{"a market twice", map[string]any{"markets": []string{"spot", "spot"}}, []string{`markets[1]: "spot" is there twice`}},
		{"an empty type", map[string]any{"instance_types": []string{"g4dn.xlarge", ""}}, []string{"instance_types[1]: empty"}},
		{"a spot price that is none", map[string]any{"spot_price": "cheap"}, []string{`spot_price: "cheap"; expected US dollars`}},
		{"a spot price without the market", map[string]any{"spot_price": "0.2", "markets": []string{"on-demand"}}, []string{`spot_price: "0.2", but markets does not name "spot"`}},
		{"a reservation without the market", map[string]any{"capacity_reservation_id": "cr-1", "markets": []string{"spot"}}, []string{`markets does not name "capacity-reservation"`}},
		{"a reservation that is not wanted", map[string]any{"capacity_reservation_preference": "none", "markets": []string{"capacity-reservation"}}, []string{"capacity_reservation_preference"}},
		{"spot blocks", map[string]any{"spot_price": "auto", "block_duration_minutes": 60}, []string{"block_duration_minutes: 60; AWS has ended"}},
		{"subnets twice", map[string]any{"subnet_id": "subnet-1", "subnet_ids": []string{"subnet-2"}}, []string{"subnet_id, subnet_ids: expected one"}},
		{"zones twice", map[string]any{"availability_zone": "us-east-1a", "availability_zones": []string{"us-east-1b"}}, []string{"availability_zone, availability_zones: expected one"}},
		{"a price of nothing", map[string]any{"prices": map[string]any{"g4dn.xlarge": 0}}, []string{`prices["g4dn.xlarge"]: "0"; expected`}},
		{"a capture", map[string]any{"capture": "freeze"}, []string{`capture: "freeze"`, `"stop" or "reboot"`}},
		{"a capture that needs a stopped instance", map[string]any{"capture": "reboot", "ena_support": true, "disable_stop_instance": true}, []string{"capture, ena_support", "capture, disable_stop_instance"}},
		{"a cost without a bound on time", map[string]any{"max_build_cost": 5, "max_build_time": "0"}, []string{"max_build_cost: nothing bounds the time"}},
		{"less than nothing", map[string]any{"max_price_per_hour": -1, "spot_restarts": -1, "capacity_timeout": "-1h"}, []string{"max_price_per_hour: less than 0", "spot_restarts: less", "capacity_timeout: less"}},
		{"Windows", map[string]any{"communicator": "winrm", "winrm_username": "x"}, []string{`communicator: "winrm" is not supported`}},
		{"an unknown option", map[string]any{"ami_region": "us-east-1"}, []string{"ami_region"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := map[string]any{"region": "us-east-1"}
			maps.Copy(raw, test.config)
			var b Builder
			_, _, err := b.Prepare(raw)
			if err == nil {
				t.Fatalf("%v was accepted", test.config)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
		})
	}
}

// Packer passes this for values that are known only later, a data source's.
func TestPrepareAcceptsUnknownValues(t *testing.T) {
	var b Builder
	_, _, err := b.Prepare(map[string]any{"region": "<unknown>", "ami_regions": []string{"<unknown>"}})
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
		{"the build's region alone", nil, map[string]string{"us-east-1": "-"}},
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
			var b Builder
			if _, _, err := b.Prepare(raw); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, target := range b.config.targets("us-east-1") {
				key := "-"
				if target.Encrypted != nil && *target.Encrypted {
					key = target.KMSKeyID
				}
				got[target.Region] = key
			}
			if !maps.Equal(got, test.want) {
				t.Errorf("targets %v, want %v", got, test.want)
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
		{"max_attempts alone counts in amazon-ebs's delay", map[string]any{"max_attempts": 60}, pollInterval, 15 * time.Minute},
		{"delay_seconds alone leaves the limit", map[string]any{"delay_seconds": 30}, 30 * time.Second, pollTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b Builder
			if _, _, err := b.Prepare(map[string]any{"region": "us-east-1", "aws_polling": test.config}); err != nil {
				t.Fatal(err)
			}
			got := b.config.waiter()
			if fixed := test.interval != pollInterval; got.Fixed != fixed || fixed && (got.Soon != got.Interval || got.First != got.Interval) {
				t.Errorf("fixed %t, first after %s and %s; want that delay_seconds is kept to", got.Fixed, got.Soon, got.First)
			}
			if got.Interval != test.interval || got.Timeout != test.timeout {
				t.Errorf("asks every %s for %s, want every %s for %s", got.Interval, got.Timeout, test.interval, test.timeout)
			}
		})
	}
}
