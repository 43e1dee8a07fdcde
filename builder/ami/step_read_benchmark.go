// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"

	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// stepReadBenchmark takes the benchmark's result from the instance, if there
// is one: provisioners have no other way to tell the builder something.
type stepReadBenchmark struct{ noCleanup }

func (stepReadBenchmark) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := buildOf(state)
	comm, ok := state.Get(keyCommunicator).(packersdk.Communicator)
	if !ok || b.config.Comm.Type == "none" || b.config.DisableStopInstance {
		return multistep.ActionContinue
	}
	var out bytes.Buffer
	cmd := &packersdk.RemoteCmd{Command: "cat " + miner.ReportPath, Stdout: &out, Stderr: io.Discard}
	// An image that is good is not given up for the want of a line of report:
	// its provisioners may have powered the instance off (disable_stop_instance).
	if err := comm.Start(ctx, cmd); err != nil {
		log.Printf("[WARN] reading %s: %s", miner.ReportPath, err)
		return multistep.ActionContinue
	}
	// The SDK reports status 0 for a connection that broke.
	if status := cmd.Wait(); status != 0 || out.Len() == 0 {
		log.Printf("[INFO] the image has no %s (status %d)", miner.ReportPath, status)
		return multistep.ActionContinue
	}
	result, err := miner.DecodeReport(out.Bytes())
	if err != nil {
		return halt(state, "reading %s: %w", miner.ReportPath, err)
	}
	b.report.Benchmark = out.Bytes()
	b.measured = fmt.Sprintf("%s (%s)", result.Hashrate, result.Measured())
	b.report.Inventory = readInventory(ctx, comm)
	return multistep.ActionContinue
}

// readInventory is what the instance says was put on it, nil where it does not
// say so in JSON.
func readInventory(ctx context.Context, comm packersdk.Communicator) json.RawMessage {
	var out bytes.Buffer
	cmd := &packersdk.RemoteCmd{Command: "cat " + miner.InventoryPath, Stdout: &out, Stderr: io.Discard}
	if err := comm.Start(ctx, cmd); err != nil {
		log.Printf("[WARN] reading %s: %s", miner.InventoryPath, err)
		return nil
	}
	if cmd.Wait() != 0 || !json.Valid(out.Bytes()) {
		return nil
	}
	return out.Bytes()
}
