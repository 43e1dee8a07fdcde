// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"os"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/linuxtest"
)

// TestUpstreamTreeOnDebian13 builds the fixture on a booted Debian 13, whose GCC 14 and
// Boost 1.83 represent Ubuntu 24.04.
func TestUpstreamTreeOnDebian13(t *testing.T) {
	system := linuxtest.Boot(t, linuxtest.Debian13(t))
	found := localLibraries(t)
	for i, l := range found { // their tarballs are on the host
		file, err := os.Open(l.url[len("file://"):])
		if err != nil {
			t.Fatal(err)
		}
		to := "/var/tmp/" + l.name + ".tar.gz"
		if err := system.Upload(to, file, nil); err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
		found[i].url = "file://" + to
	}
	provision := func(t *testing.T, coin, skip string) *testRun {
		t.Helper()
		options := map[string]any{"source": oldTree(t), "coin": coin, "device": "cpu", "cmake_options": []string{"-DCMAKE_BUILD_TYPE=Debug"}}
		if skip != "" {
			options["skip_edits"] = []string{skip}
		}
		system.Run(t, "umount -q /var/tmp/ethminer-gpu-0/scratch; rm -rf /var/tmp/ethminer-gpu-0")
		r := provisionOn(t, packersdk.Communicator(system), "", options)
		r.libraries = found
		return r
	}
	for _, c := range without {
		if c.debian <= 12 { // covered by TestUpstreamTree
			continue
		}
		t.Run("without "+c.edit, func(t *testing.T) {
			r := provision(t, "custom", c.edit)
			r.upTo(t, "configure")
			fails(t, r.plan(c.phase), c.message)
		})
	}
	for coin, want := range seeds {
		t.Run(coin, func(t *testing.T) {
			r := provision(t, coin, "")
			r.upTo(t, "build")
			if out := system.Run(t, r.machine.Scratch("build/ethminer/ethminer")); out != want {
				t.Errorf("the program printed\n%s\nwant\n%s", out, want)
			}
		})
	}
}
