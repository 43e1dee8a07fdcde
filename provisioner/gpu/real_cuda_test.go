// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux && cuda

package gpu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/linuxtest"
)

// TestRealCUDA compiles the provisioner's GPU programs with NVIDIA's compiler (Debian's
// CUDA 12.4): the fixture with FindCUDA, the reference miner with CMake's CUDA language,
// and the bandwidth measurement. Nothing runs on a GPU. `make test-cuda` creates the
// system and runs the test.
func TestRealCUDA(t *testing.T) {
	root := filepath.Join(filepath.Dir(linuxtest.Debian13(t)), "debian-13-cuda")
	if _, err := os.Stat(filepath.Join(root, "usr/bin/nvcc")); err != nil {
		t.Skip("SKIPPED: needs a Debian 13 with CUDA in build/_roots/debian-13-cuda: make test-cuda")
	}
	system := linuxtest.Boot(t, root)
	system.Write(t, "/usr/local/bin/nvidia-smi", "#!/bin/sh\necho 'Tesla T4, 7.5, 580.95.05'\n", 0o755)
	found := localLibraries(t)
	for i, l := range found {
		file, err := os.Open(strings.TrimPrefix(l.url, "file://"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close() //nolint:errcheck // only read
		to := "/var/tmp/" + l.name + ".tar.gz"
		if err := system.Upload(to, file, nil); err != nil {
			t.Fatal(err)
		}
		found[i].url = "file://" + to
	}
	for name, source := range map[string]string{"the fixture": oldTree(t), "the reference miner": "../../example/miner"} {
		t.Run(name, func(t *testing.T) {
			system.Run(t, "umount -q /var/tmp/ethminer-gpu-0/scratch; rm -rf /var/tmp/ethminer-gpu-0")
			r := provisionOn(t, system, "", map[string]any{"source": source, "gpu_types": []string{"g5"}})
			r.libraries = found
			r.upTo(t, "build")
			if want := "CUDA 12.4 in /usr"; !strings.Contains(r.said.String(), want) {
				t.Errorf("got output without %q:\n%s", want, r.said)
			}
			for _, program := range []string{r.machine.Scratch("build") + "/*/ethminer", r.machine.Scratch("membench")} {
				if name == "the reference miner" {
					program = strings.ReplaceAll(program, "/*/", "/")
				}
				kernels := system.Run(t, "cuobjdump --list-elf "+program)
				for _, want := range []string{"sm_75", "sm_86"} {
					if !strings.Contains(kernels, want) {
						t.Errorf("%s has no code for %s:\n%s", program, want, kernels)
					}
				}
			}
		})
	}
}
