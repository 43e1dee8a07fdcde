// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"

	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// ReadBenchmark reads the benchmark's result from the instance, if there is
// one, as provisioners cannot return data to the builder.
type ReadBenchmark struct{ noCleanup }

func (ReadBenchmark) Facts() (needs, yields []Fact) { return nil, facts(Benchmark) }

func (ReadBenchmark) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := BuildOf(state)
	comm, ok := state.Get(keyCommunicator).(packersdk.Communicator)
	if !ok || b.Config.Comm.Type == "none" || b.Config.DisableStopInstance {
		return multistep.ActionContinue
	}
	var out bytes.Buffer
	cmd := &packersdk.RemoteCmd{Command: "cat " + miner.ReportPath, Stdout: &out, Stderr: io.Discard}
	// A missing report does not fail the build: the provisioners may have powered
	// the instance off (disable_stop_instance).
	if err := comm.Start(ctx, cmd); err != nil {
		log.Printf("[WARN] reading %s: %s", miner.ReportPath, err)
		return multistep.ActionContinue
	}
	// The SDK reports status 0 for a broken connection.
	if status := cmd.Wait(); status != 0 || out.Len() == 0 {
		log.Printf("[INFO] the image has no %s (status %d)", miner.ReportPath, status)
		return multistep.ActionContinue
	}
	if _, err := miner.DecodeReport(out.Bytes()); err != nil {
		return Halt(state, "reading %s: %w", miner.ReportPath, err)
	}
	b.Report.Benchmark = out.Bytes()
	b.Report.Inventory = readInventory(ctx, comm)
	return multistep.ActionContinue
}

// readInventory returns the instance's inventory, or nil if it has no valid JSON.
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
