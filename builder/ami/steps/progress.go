// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"strconv"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/machinereadable"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// progress returns the progress of the wait for a single image.
func (b *Build) progress(ui packersdk.Ui) *distribute.Progress {
	return &distribute.Progress{Say: ui.Say, Each: reportPending(ui), Clock: b.wait.Clock}
}

// reportPending returns a function that reports a pending image to programs.
func reportPending(ui packersdk.Ui) func(distribute.Pending) {
	return func(p distribute.Pending) {
		percent, left := "", ""
		if p.Percent != poll.Unknown {
			percent = strconv.Itoa(p.Percent)
		}
		if p.Left > 0 {
			left = strconv.Itoa(int(p.Left.Seconds()))
		}
		ui.Machine(machinereadable.Progress, p.Image.Region, p.Image.ID, percent, left, p.Image.Account)
	}
}
