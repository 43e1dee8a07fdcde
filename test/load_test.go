// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// loadBuild copies an image to two regions.
const loadBuild = `variable "name" { type = string }
source "ethminer-ami" "rig" {
  region        = "eu-central-1"
  ami_regions   = ["us-east-1", "us-west-2"]
  ami_name      = var.name
  instance_type = "g4dn.xlarge"
  communicator  = "none"
  source_ami_filter {
    filters     = { name = "ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-amd64-server-*" }
    owners      = ["099720109477"]
    most_recent = true
  }
}
build { sources = ["source.ethminer-ami.rig"] }
`

// TestEightBuilds runs eight builds at once against one simulated AWS. Their processes
// need no more memory than those of one build.
func TestEightBuilds(t *testing.T) {
	build, packer := os.Getenv("ETHMINER_BUILD"), os.Getenv("PACKER")
	if build == "" || packer == "" {
		t.Skip("SKIPPED: requires the plugin and Packer; run: make test")
	}
	// run does n builds at once, and returns the memory of their largest process in
	// MiB.
	run := func(n int) (largest int64) {
		aws := rehearsal.New(rehearsal.Config{AccessKey: "AKIALOAD", SecretKey: "of-the-simulated-account"})
		defer func() { _ = aws.Close() }()
		server := httptest.NewServer(aws)
		defer server.Close()
		var mu sync.Mutex
		var builds sync.WaitGroup
		for i := range n {
			builds.Go(func() {
				folder := t.TempDir()
				if err := os.WriteFile(filepath.Join(folder, "build.pkr.hcl"), []byte(loadBuild), 0o600); err != nil {
					t.Error(err)
					return
				}
				cmd := exec.Command(packer, "build", "-var", fmt.Sprintf("name=rig-%d", i), "build.pkr.hcl")
				cmd.Dir, cmd.Env = folder, append(os.Environ(),
					"AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID=AKIALOAD", "AWS_SECRET_ACCESS_KEY=of-the-simulated-account", "AWS_EC2_METADATA_DISABLED=true",
					"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
				for key, value := range toolEnv(build, packer, folder) {
					cmd.Env = append(cmd.Env, key+"="+value)
				}
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("build %d: %v\n%s", i, err, out)
				}
				mu.Lock()
				defer mu.Unlock()
				largest = max(largest, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss>>10)
			})
		}
		builds.Wait()
		images := 0
		for _, resources := range aws.Inventory() {
			for _, r := range resources {
				if r.Leaked() {
					t.Errorf("left behind: %s %s", r.Kind, r.ID)
				}
				if r.Kind == "image" {
					images++
				}
			}
		}
		if images != 3*n {
			t.Errorf("%d images, want %d", images, 3*n)
		}
		t.Logf("%d builds at once: the largest process had %d MiB", n, largest)
		return largest
	}
	if one, eight := run(1), run(8); eight > 2*one {
		t.Errorf("with eight builds a process has %d MiB, with one %d MiB; want at most twice as much", eight, one)
	}
}
