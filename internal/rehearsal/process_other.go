// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix && !linux

package rehearsal

import "context"

func watchProcess(ctx context.Context, pid int) (<-chan struct{}, error) {
	return pollProcess(ctx, pid)
}
