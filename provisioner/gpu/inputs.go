// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
)

// The inputs of each phase, in addition to those of the phases before it: see phase.

func (r *run) driverInputs() any {
	return []any{scriptsHash(), r.found.device, r.found.distribution, r.found.arch, r.config.DriverBranch, r.found.instanceType}
}

func (r *run) toolkitInputs() any {
	return r.packages()
}

func (r *run) cudaInputs() any {
	return []any{r.config.CUDAVersion, r.config.Settings().CUDAVersion}
}

func (r *run) sourceInputs() any {
	return []any{r.config.Source, r.config.SourceRef, r.config.SourceChecksum, r.sourceHash, r.libraryHashes()}
}

func (r *run) editsInputs() any {
	patches := []string{}
	for _, name := range r.config.Patches {
		data, _ := os.ReadFile(name) // Prepare has checked it; otherwise the upload fails
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
	return []any{r.config.BenchmarkBlock, r.config.Settings().StartTimeout, r.config.Settings().Warmup, r.config.Settings().Duration, r.config.BenchmarkAPI.False()}
}
func (r *run) gateInputs() any { return []any{r.config.GateConfig, r.config.ReportFile} }

// poolInputs omits the password: a stamp is a hash that could be brute-forced.
func (r *run) poolInputs() any {
	if r.config.PoolCheck == nil {
		return nil
	}
	return []any{r.config.PoolCheck.Pool, r.config.PoolCheck.Wallet, r.config.PoolCheck.Worker}
}
func (r *run) cleanInputs() any { return !r.config.Shareable.False() }

// libraryHashes returns values that change with the version of a library.
func (r *run) libraryHashes() []string {
	var hashes []string
	for _, l := range r.libraries {
		hashes = append(hashes, l.name+" "+l.hash)
	}
	return hashes
}
