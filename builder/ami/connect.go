// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// connectClients returns the clients of the configured account, or of the rehearsal,
// which it starts if necessary.
func connectClients(ctx context.Context, c *options.Config, ui packersdk.Ui) (*awsclient.Clients, error) {
	if c.Rehearsal {
		return connectRehearsal(ctx, c, ui)
	}
	if !c.VaultAWSEngine.Empty() {
		return connectByVault(ctx, c, ui)
	}
	return connectAccount(ctx, c)
}

func connectAccount(ctx context.Context, c *options.Config) (*awsclient.Clients, error) {
	loaded, err := awsclient.Account(ctx, &c.AccessConfig)
	if err != nil {
		return nil, err
	}
	base := *loaded
	endpoint := c.CustomEndpointEc2 // for all regions; amazon-ebs uses it only for the build's
	if c.Endpoint != "" {
		base.BaseEndpoint, endpoint = &c.Endpoint, c.Endpoint
	}
	if c.DecodeAuthZMessages {
		awsclient.DecodeRefusals(&base)
	}
	return awsclient.New(base, endpoint), nil
}

// Retries of new credentials from Vault, as IAM is eventually consistent. The
// pauses double; their sum is amazon-ebs's two minutes.
const (
	vaultTries      = 11
	vaultFirstPause = 200 * time.Millisecond
	vaultLastPause  = 30 * time.Second
)

// connectByVault waits until AWS accepts the credentials from Vault.
func connectByVault(ctx context.Context, c *options.Config, ui packersdk.Ui) (*awsclient.Clients, error) {
	ui.Say("Waiting for AWS to accept the new credentials from Vault...")
	pause := vaultFirstPause
	for try := 1; ; try++ {
		clients, err := connectAccount(ctx, c)
		if err == nil {
			_, err = clients.EC2(clients.Region()).DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
			if err == nil || !awsclient.IsUnknownCredential(err) { // the preflight reports missing permissions
				return clients, nil
			}
		}
		if !awsclient.IsUnknownCredential(err) || try == vaultTries {
			return nil, fmt.Errorf("vault_aws_engine: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-clock.After(pause):
		}
		pause = min(2*pause, vaultLastPause)
	}
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
