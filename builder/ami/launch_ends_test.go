// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// EC2 accepts a launch, and ends the instance before it runs.
func TestLaunchEndsBeforeRunning(t *testing.T) {
	zones := []string{"eu-central-1a", "eu-central-1b"}
	const a, b = "g4dn.xlarge  eu-central-1a", "g4dn.xlarge  eu-central-1b"
	for _, test := range []struct {
		name   string
		config map[string]any
		code   string
		times  int
		calls  []string // InstanceType, market and place of each
		said   string
		err    []string
	}{
		{"capacity", map[string]any{"availability_zones": zones}, "Server.InsufficientInstanceCapacity", 1, []string{a, b},
			"ended before it ran: Insufficient capacity to satisfy instance request (Server.InsufficientInstanceCapacity)", nil},
		{"internal error", map[string]any{"availability_zones": zones}, "Server.InternalError", 1, []string{a, b},
			"ended before it ran: Internal error on launch (Server.InternalError)", nil},
		{"spot", map[string]any{"availability_zones": zones, "markets": []string{"spot"}, "spot_allocation_strategy": "in-order"}, "Server.SpotInstanceTermination", 1,
			[]string{"g4dn.xlarge spot eu-central-1a", "g4dn.xlarge spot eu-central-1b"}, "(Server.SpotInstanceTermination)", nil},
		{"volumes count in all zones", map[string]any{"availability_zones": zones, "instance_types": []string{"g4dn.xlarge", "g4dn.2xlarge"}}, "Client.VolumeLimitExceeded", 1,
			[]string{a, "g4dn.2xlarge  eu-central-1a"}, "Launch refused: g4dn.xlarge, on-demand, everywhere: ", nil},
		{"retried until capacity_timeout", map[string]any{"availability_zones": zones, "capacity_timeout": "1h"}, "Server.InsufficientInstanceCapacity", 3, []string{a, b, a, b}, "(capacity_timeout)", nil},
		{"all attempts", map[string]any{"availability_zones": zones}, "Server.InternalError", 0, []string{a, b}, "",
			[]string{"all 2 combinations", "g4dn.xlarge, on-demand, eu-central-1b: i-", "launch: "}},
		{"the volume quota", map[string]any{"availability_zones": zones}, "Client.VolumeLimitExceeded", 0, []string{a}, "",
			[]string{"volumes: ", "--service-code ebs --region eu-central-1"}},
		{"a cause that all attempts share", map[string]any{"availability_zones": zones}, "Client.InvalidSnapshot.NotFound", 1, []string{a}, "",
			[]string{"launching: g4dn.xlarge, on-demand, eu-central-1a: i-", "ended before it ran: The snapshot does not exist (Client.InvalidSnapshot.NotFound)"}},
		{"a user", map[string]any{"availability_zones": zones}, "Client.UserInitiatedShutdown", 1, []string{a}, "", []string{"(Client.UserInitiatedShutdown)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLaunches(t)
			l.aws.AddFault(rehearsal.Fault{LaunchEnds: test.code, Region: "eu-central-1", Times: test.times})
			err := l.run(t, t.Context(), test.config)
			var tried []string
			for i := range l.made {
				tried = append(tried, l.values("InstanceType")[i]+" "+l.values("InstanceMarketOptions.MarketType")[i]+" "+l.values("Placement.AvailabilityZone")[i])
			}
			if !slices.Equal(tried, test.calls) {
				t.Errorf("tried %q, want %q\n%s", tried, test.calls, l.ui.String())
			}
			if test.err == nil && err != nil {
				t.Error(err)
			}
			for _, want := range test.err {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
			if !strings.Contains(l.ui.String(), test.said) {
				t.Errorf("the build does not say %q:\n%s", test.said, l.ui.String())
			}
			if got, ended := strings.Count(l.ui.String(), " costs $"), len(test.err) > 0; ended && got != 0 || !ended && got != 1 {
				t.Errorf("the build says %d prices, want that of the running instance\n%s", got, l.ui.String())
			}
			// Each ended instance is cleaned up before the next attempt, and the last one at the end.
			if calls := l.aws.Calls()["eu-central-1"]["TerminateInstances"]; calls != len(test.calls) {
				t.Errorf("terminated %d instances, want %d", calls, len(test.calls))
			}
		})
	}
}

// The key of a volume exists but EBS cannot use it: the error names the volume's key.
func TestLaunchEndsForKey(t *testing.T) {
	l := newLaunches(t)
	keys := awsclient.New(l.awsConfig(l), "").KMS("eu-central-1")
	made, err := keys.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: made.KeyMetadata.KeyId}); err != nil {
		t.Fatal(err)
	}
	err = l.run(t, t.Context(), map[string]any{
		"preflight": "off", "availability_zones": []string{"eu-central-1a", "eu-central-1b"},
		"launch_block_device_mappings": []map[string]any{{"device_name": "/dev/sda1", "encrypted": true, "kms_key_id": *made.KeyMetadata.KeyId, "delete_on_termination": true}},
	})
	if len(l.made) != 1 {
		t.Errorf("%d launches, want 1", len(l.made))
	}
	for _, want := range []string{"ended before it ran: Client error on launch (Client.InternalError)", "KMS key", *made.KeyMetadata.KeyId, "kms:CreateGrant"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}
