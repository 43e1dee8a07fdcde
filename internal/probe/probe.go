// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package probe asks a machine that mines: the miner's API, and the kernel's log.
package probe

import (
	"context"
	"embed"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

//go:embed api.sh xid.sh
var scripts embed.FS

const (
	// apiBound limits one request to the API.
	apiBound = 10 * time.Second
	// xidBound limits reading the kernel log.
	xidBound = 30 * time.Second
)

// API sends one request to the miner's API on a loopback port.
func API(ctx context.Context, m *remote.Machine, port int) (miner.Stat, error) {
	a, err := m.Ask(ctx, remote.Script{Name: "api", From: scripts, Args: []string{strconv.Itoa(port)}, Bound: apiBound})
	if err != nil {
		return miner.Stat{}, err
	}
	return miner.BestStat(a.Facts("api")...)
}

// Xids returns the kernel's last lines about GPU errors.
func Xids(ctx context.Context, m *remote.Machine) ([]string, error) {
	a, err := m.Ask(ctx, remote.Script{Name: "xid", From: scripts, AsRoot: true, Bound: xidBound})
	if err != nil {
		return nil, err
	}
	return a.Facts("xid"), nil
}
