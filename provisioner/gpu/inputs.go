// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
)

// What each phase depends on, besides what those before it do: see phase.

func (r *run) driverInputs() any {
	return []any{scriptsHash(), r.found.device, r.found.distribution, r.found.arch, r.config.DriverBranch, r.found.instanceType}
}

func (r *run) toolkitInputs() any {
	return []any{r.packages(), r.config.CUDAVersion}
}

func (r *run) sourceInputs() any {
	return []any{r.config.Source, r.config.SourceRef, r.config.SourceChecksum, r.sourceHash, r.dependencies()}
}

func (r *run) editsInputs() any {
	patches := []string{}
	for _, name := range r.config.Patches {
		data, _ := os.ReadFile(name) // Prepare has read it; else the upload fails
		sum := sha256.Sum256(data)
		patches = append(patches, hex.EncodeToString(sum[:]))
	}
	return []any{r.editTable(), patches}
}

func (r *run) configureInputs() any {
	return []any{r.found.device, r.found.compute, r.config.CMakeOptions}
}

func (r *run) buildInputs() any   { return []any{r.config.BinaryName, r.config.BuildCommands} }
func (r *run) installInputs() any { return !r.config.Service.False() }
func (r *run) benchmarkInputs() any {
	return []any{r.config.BenchmarkBlock, r.config.parsed.startTimeout, r.config.parsed.warmup, r.config.parsed.duration, r.config.BenchmarkAPI.False()}
}
func (r *run) gateInputs() any { return []any{r.config.GateConfig, r.config.ReportFile} }

// poolInputs leave the password out: a stamp is a hash of little else.
func (r *run) poolInputs() any {
	if r.config.PoolCheck == nil {
		return nil
	}
	return []any{r.config.PoolCheck.Pool, r.config.PoolCheck.Wallet, r.config.PoolCheck.Worker}
}
func (r *run) cleanInputs() any { return !r.config.Shareable.False() }
