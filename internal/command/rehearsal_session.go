// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/tunnel"
)

// rehearsalSession stands in for AWS's session-manager-plugin in a rehearsal.
func rehearsalSession(ctx context.Context, args []string, std streams) int {
	if err := tunnel.Plugin(ctx, args, std.out); err != nil {
		_, _ = fmt.Fprintf(std.err, "rehearsal-session: %v\n", err)
		return exitError
	}
	return exitOK
}
