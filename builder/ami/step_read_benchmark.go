// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"

	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// benchmarkPath is where ethminer-gpu leaves its result on the instance.
const benchmarkPath = "/etc/ethminer/benchmark.json"

// stepReadBenchmark takes the benchmark's result from the instance, if there
// is one: provisioners have no other way to tell the builder something.
type stepReadBenchmark struct{ noCleanup }

func (stepReadBenchmark) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	comm, ok := state.Get(keyCommunicator).(packersdk.Communicator)
	if !ok {
		return multistep.ActionContinue // communicator = "none"
	}
	var out bytes.Buffer
	cmd := &packersdk.RemoteCmd{Command: "cat " + benchmarkPath, Stdout: &out, Stderr: io.Discard}
	if err := comm.Start(ctx, cmd); err != nil {
		return halt(state, "reading %s: %w", benchmarkPath, err)
	}
	if status := cmd.Wait(); status != 0 {
		log.Printf("[INFO] the image has no %s (status %d)", benchmarkPath, status)
		return multistep.ActionContinue
	}
	if !json.Valid(out.Bytes()) {
		return halt(state, "reading %s: it is no JSON; expected the file that ethminer-gpu writes", benchmarkPath)
	}
	buildOf(state).report.Benchmark = out.Bytes()
	return multistep.ActionContinue
}
