// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"os"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// Defaults of polling, unless aws_polling is set.
const (
	pollInterval = time.Second
	// When an instance and an image are first polled: the earliest time to be ready.
	firstState            = 6 * time.Second
	firstImage            = 20 * time.Second
	pollTimeout           = 2 * time.Hour // a large image takes an hour to reach a far region
	rehearsalPollInterval = 200 * time.Millisecond
	// The delay for max_attempts without delay_seconds, as amazon-ebs documents.
	amazonPollDelay = 15 * time.Second
)

// Waiter returns the build's waiter. With aws_polling, delay_seconds is the
// interval between requests, and max_attempts times that the timeout.
func (c *Config) Waiter() poll.Waiter {
	wait := poll.Waiter{Interval: pollInterval, Soon: firstState, First: firstImage, Timeout: pollTimeout, Hint: "aws_polling sets the timeout"}
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

// polling returns the values of aws_polling, else AWS_POLL_DELAY_SECONDS as in
// amazon-ebs, else zero. It ignores AWS_MAX_ATTEMPTS, which amazon-ebs reads too:
// in the SDK that limits the attempts of a request, not the polling (see
// awsclient.Prepare).
func (c *Config) polling() (delay time.Duration, attempts int) {
	fromEnvironment := func(name string) int {
		n, _ := strconv.Atoi(os.Getenv(name))
		return max(n, 0)
	}
	seconds := fromEnvironment("AWS_POLL_DELAY_SECONDS")
	if c.Rehearsal {
		seconds = 0
	}
	if c.PollingConfig != nil && c.PollingConfig.DelaySeconds > 0 {
		seconds = c.PollingConfig.DelaySeconds
	}
	if c.PollingConfig != nil && c.PollingConfig.MaxAttempts > 0 {
		attempts = c.PollingConfig.MaxAttempts
	}
	return time.Duration(seconds) * time.Second, attempts
}
