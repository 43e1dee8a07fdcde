// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"context"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
)

// contextTimeout limits a step's clean-up after a build has ended or was cancelled,
// while AWS answers.
const contextTimeout = 5 * time.Minute

// Context returns a context for the clean-up, which must run even if the build's
// context is cancelled, and must end by itself. Its requests wait out an outage of
// AWS.
func Context() (context.Context, context.CancelFunc) {
	return clock.WithTimeout(awsclient.WaitOut(context.Background()), contextTimeout+awsclient.OutageLimit)
}
