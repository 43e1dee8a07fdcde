// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// connect returns the clients of the configured account, or of the rehearsal,
// which it starts if need be.
func (c *Config) connect(ctx context.Context, ui packersdk.Ui) (*ec2api.Clients, error) {
	if c.Rehearsal {
		return c.connectRehearsal(ctx, ui)
	}
	if !c.VaultAWSEngine.Empty() {
		return c.connectByVault(ctx, ui)
	}
	return c.connectAccount(ctx)
}

func (c *Config) connectAccount(ctx context.Context) (*ec2api.Clients, error) {
	if c.CredsFilename != "" {
		// amazon-ebs reads it as a config file, in which "[name]" is no profile.
		// The SDK takes the name of a credentials file from here.
		if err := os.Setenv("AWS_SHARED_CREDENTIALS_FILE", c.CredsFilename); err != nil {
			return nil, fmt.Errorf("shared_credentials_file: %w", err)
		}
	}
	loaded, err := ec2api.Access(&c.AccessConfig).Config(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading AWS credentials: %w", err)
	}
	base := *loaded
	endpoint := c.CustomEndpointEc2 // for every region, where amazon-ebs uses it for the build's alone
	if c.Endpoint != "" {
		base.BaseEndpoint, endpoint = &c.Endpoint, c.Endpoint
	}
	if c.DecodeAuthZMessages {
		ec2api.DecodeRefusals(&base)
	}
	return ec2api.New(base, endpoint), nil
}

// How often credentials are tried that Vault has just made: IAM is eventually
// consistent. The pauses double; together they are amazon-ebs's two minutes.
const (
	vaultTries      = 11
	vaultFirstPause = 200 * time.Millisecond
	vaultLastPause  = 30 * time.Second
)

// connectByVault waits until AWS knows the credentials.
func (c *Config) connectByVault(ctx context.Context, ui packersdk.Ui) (*ec2api.Clients, error) {
	ui.Say("The credentials are Vault's: AWS may take a while to know them...")
	pause := vaultFirstPause
	for try := 1; ; try++ {
		clients, err := c.connectAccount(ctx)
		if err == nil {
			_, err = clients.EC2(clients.Region()).DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
			if err == nil || !ec2api.IsUnknownCredential(err) { // a missing permission is another step's to tell
				return clients, nil
			}
		}
		if !ec2api.IsUnknownCredential(err) || try == vaultTries {
			return nil, fmt.Errorf("vault_aws_engine: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, vaultLastPause)
	}
}

func (c *Config) connectRehearsal(ctx context.Context, ui packersdk.Ui) (*ec2api.Clients, error) {
	session, err := rehearsal.Connect(ctx, c.rehearsalOptions())
	if err != nil {
		return nil, fmt.Errorf("rehearsal: %w", err)
	}
	ui.Sayf("This is a rehearsal: AWS is simulated at %s, no account is used, nothing is billed.", session.Endpoint)
	if c.Comm.Type == "ssh" && session.SSHPort != 0 {
		c.Comm.SSHPort = session.SSHPort
	}
	c.Comm.SSHDisableAgentForwarding = true
	c.admitRehearsal(session.CallerIP)
	return ec2api.New(session.AWSConfig(c.RawRegion), ""), nil
}

// admitRehearsal lets the rehearsal's caller in, so that nobody outside is asked
// who that is.
func (c *Config) admitRehearsal(caller string) {
	c.TemporarySGSourcePublicIp = false
	c.TemporarySGSourceCidrs = []string{caller + "/32"}
}

// Waiting, unless aws_polling says otherwise.
const (
	pollInterval = time.Second
	// An instance is first asked after, and an image, when one may be ready.
	firstState            = 6 * time.Second
	firstImage            = 20 * time.Second
	pollTimeout           = 2 * time.Hour // a large image takes an hour to reach a far region
	rehearsalPollInterval = 200 * time.Millisecond
	// What max_attempts alone counts in: the delay that amazon-ebs documents.
	amazonPollDelay = 15 * time.Second
)

// waiter is how this build waits: aws_polling's delay_seconds is the interval
// between all questions, its max_attempts times that the limit.
func (c *Config) waiter() poll.Waiter {
	wait := poll.Waiter{Interval: pollInterval, Soon: firstState, First: firstImage, Timeout: pollTimeout}
	if c.Rehearsal {
		wait.Interval, wait.Soon, wait.First = rehearsalPollInterval, 0, 0
	}
	delay, attempts := c.polling()
	if delay > 0 {
		wait.Interval, wait.Soon, wait.First, wait.Fixed = delay, delay, delay, true
	}
	if attempts > 0 {
		if delay == 0 {
			delay = amazonPollDelay
		}
		wait.Timeout = time.Duration(attempts) * delay
	}
	return wait
}

// polling is what aws_polling says, else the environment, as for amazon-ebs;
// zero where neither does.
func (c *Config) polling() (delay time.Duration, attempts int) {
	fromEnvironment := func(name string) int {
		n, _ := strconv.Atoi(os.Getenv(name))
		return max(n, 0)
	}
	seconds := fromEnvironment("AWS_POLL_DELAY_SECONDS")
	attempts = fromEnvironment("AWS_MAX_ATTEMPTS")
	if c.Rehearsal {
		seconds, attempts = 0, 0
	}
	if c.PollingConfig != nil && c.PollingConfig.DelaySeconds > 0 {
		seconds = c.PollingConfig.DelaySeconds
	}
	if c.PollingConfig != nil && c.PollingConfig.MaxAttempts > 0 {
		attempts = c.PollingConfig.MaxAttempts
	}
	return time.Duration(seconds) * time.Second, attempts
}

// cleanupTimeout bounds what is done after the build has ended or was cancelled.
const cleanupTimeout = 5 * time.Minute

// cleanupContext is for Cleanup, which gets no context: it must run although
// the build's own is cancelled, and must end by itself.
func cleanupContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), cleanupTimeout)
}

// noCleanup is for steps that leave nothing behind.
type noCleanup struct{}

func (noCleanup) Cleanup(multistep.StateBag) {}
