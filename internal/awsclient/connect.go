// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
)

// Connect returns the clients of the account that the options select. If endpoint is set,
// all requests go to it. say reports the wait for new credentials from Vault.
func Connect(ctx context.Context, o *AccessConfig, endpoint string, say func(string)) (*Clients, error) {
	if !o.VaultAWSEngine.Empty() {
		return connectByVault(ctx, o, endpoint, say)
	}
	return connect(ctx, o, endpoint)
}

func connect(ctx context.Context, o *AccessConfig, endpoint string) (*Clients, error) {
	loaded, err := Account(ctx, o)
	if err != nil {
		return nil, err
	}
	base, ec2Endpoint := *loaded, o.CustomEndpointEc2 // for all regions; amazon-ebs uses it only for the build's
	if endpoint != "" {
		base.BaseEndpoint, ec2Endpoint = &endpoint, endpoint
	}
	if o.DecodeAuthZMessages {
		DecodeRefusals(&base)
	}
	return New(base, ec2Endpoint), nil
}

// Retries of new credentials from Vault, as IAM is eventually consistent. The
// pauses double; their sum is amazon-ebs's two minutes.
const (
	vaultTries      = 11
	vaultFirstPause = 200 * time.Millisecond
	vaultLastPause  = 30 * time.Second
)

// connectByVault waits until AWS accepts the credentials from Vault.
func connectByVault(ctx context.Context, o *AccessConfig, endpoint string, say func(string)) (*Clients, error) {
	say("Waiting for AWS to accept the new credentials from Vault...")
	pause := vaultFirstPause
	for try := 1; ; try++ {
		clients, err := connect(ctx, o, endpoint)
		if err == nil {
			_, err = clients.EC2(clients.Region()).DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
			if err == nil || !IsUnknownCredential(err) { // later requests report missing permissions
				return clients, nil
			}
		}
		if !IsUnknownCredential(err) || try == vaultTries {
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
