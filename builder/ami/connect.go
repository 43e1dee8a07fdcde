// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"os"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// connectClients returns the clients of the configured account, or of the rehearsal,
// which it starts if necessary.
func connectClients(ctx context.Context, c *options.Config, ui packersdk.Ui) (*awsclient.Clients, error) {
	if c.Rehearsal {
		return connectRehearsal(ctx, c, ui)
	}
	return awsclient.Connect(ctx, &c.AccessConfig, c.Endpoint, ui.Say)
}

func connectRehearsal(ctx context.Context, c *options.Config, ui packersdk.Ui) (*awsclient.Clients, error) {
	session, err := rehearsal.Connect(ctx, c.RehearsalOptions())
	if err != nil {
		return nil, fmt.Errorf("rehearsal: %w", err)
	}
	ui.Sayf("This is a rehearsal: AWS is simulated at %s; no account is used, and nothing is billed", session.Endpoint)
	if c.Comm.Type == "ssh" && session.SSHPort != 0 {
		c.Comm.SSHPort = session.SSHPort
	}
	if c.SSMAgentEnabled() && session.SSHPort != 0 {
		folder, err := rehearsal.SessionManagerPlugin(c.RehearsalState)
		if err != nil {
			return nil, fmt.Errorf("rehearsal: %w", err)
		}
		// packer-plugin-amazon's step starts "session-manager-plugin" by PATH, and has no
		// option for the program or its environment. This changes only this process.
		if err := os.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
			return nil, fmt.Errorf("rehearsal: %w", err)
		}
	}
	c.Comm.SSHDisableAgentForwarding = true
	admitRehearsal(c, session.CallerIP)
	return awsclient.New(session.AWSConfig(c.RawRegion), ""), nil
}

// admitRehearsal admits the rehearsal's caller, so that no external service is
// needed to find its address.
func admitRehearsal(c *options.Config, caller string) {
	c.TemporarySGSourcePublicIp = false
	c.TemporarySGSourceCidrs = []string{caller + "/32"}
}
