// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
)

// onClock makes the SDK's pauses between retries follow a fast clock.
func onClock(base *aws.Config) {
	if !clock.Fast() {
		return
	}
	inner := base.Retryer
	if inner == nil {
		inner = func() aws.Retryer { return retry.NewStandard() }
	}
	base.Retryer = func() aws.Retryer { return fastRetryer{inner()} }
}

type fastRetryer struct{ aws.Retryer }

func (r fastRetryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	d, err := r.Retryer.RetryDelay(attempt, err)
	return clock.Real(d), err
}

// GetAttemptToken implements aws.RetryerV2.
func (r fastRetryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	return launchRetryer(r).GetAttemptToken(ctx)
}
