// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package ami measures the builder ethminer-ami beside amazon-ebs: both run the
// same job against AWSs of the rehearsal, whose delays are simulated.
package ami

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// The builders.
const (
	Ours = "ethminer-ami"
	Peer = "amazon-ebs"
)

//go:embed bench.pkr.hcl
var job string

// Cell is one build: a builder, the delays that it meets, and its regions.
type Cell struct {
	Builder  string
	Delays   string // "short" or "long", see Delays
	Progress string // a model of pace.Profile
	Regions  int    // that hold the image in the end
	Spot     bool
	Reboot   bool // capture = "reboot", which only ours has
}

// Market is what the instance is launched on.
func (c Cell) Market() string {
	if c.Spot {
		return "spot"
	}
	return "on-demand"
}

// Delays are those of the states running and stopped, of the image and of its
// copies; and the time that EC2 takes to shut a running instance down for its
// image, which is an assumption.
var Delays = map[string]pace.Profile{
	"short": {Running: 9 * time.Second, Stopped: 13 * time.Second, Reboot: 5 * time.Second, Image: 31 * time.Second, Copy: 47 * time.Second},
	"long":  {Running: 23 * time.Second, Stopped: 41 * time.Second, Reboot: 15 * time.Second, Image: 263 * time.Second, Copy: 521 * time.Second},
}

func (c Cell) String() string {
	name := fmt.Sprintf("%s-%s-%d-%s", c.Delays, c.Progress, c.Regions, c.Builder)
	if c.Spot {
		name += "-spot"
	}
	if c.Reboot {
		name += "-reboot"
	}
	return name
}

// Floor is the sum of the delays that amazon-ebs cannot avoid; it shuts a spot
// instance down for its image, and stops any other.
func (c Cell) Floor() time.Duration {
	d := Delays[c.Delays]
	if c.Spot {
		return d.Running + d.Reboot + d.Image + d.Copy
	}
	return d.Running + d.Stopped + d.Image + d.Copy
}

// Result is what a cell has measured.
type Result struct {
	Cell
	Wall  time.Duration // of the packer process
	AWS   time.Duration // from the first call's answer to the last one's
	Calls int
	Usage ec2.Usage // of the instance
}

// Tools are the programs of the measurement.
type Tools struct {
	Packer  string
	Plugins string // a folder with a plugin path for each builder
}

// Run measures a cell, and writes the build's output to the file log. It is an error
// if an image is missing in the end, or if anything else is left.
func (t Tools) Run(ctx context.Context, c Cell, log string) (Result, error) {
	profile := Delays[c.Delays]
	profile.Terminated, profile.Progress = 5*time.Second, c.Progress
	result := Result{Cell: c}
	var mu sync.Mutex
	var first, last time.Time
	aws := rehearsal.New(rehearsal.Config{Pace: profile, OptIn: true, AccessKey: "AKIABENCH", SecretKey: "bench", Record: func(string, string, int, []byte) {
		mu.Lock()
		defer mu.Unlock()
		if last = time.Now(); first.IsZero() {
			first = last
		}
		result.Calls++
	}})
	server := httptest.NewServer(aws)
	defer server.Close()

	dir, err := os.MkdirTemp("", "bench") // short: Packer's sockets are in it
	if err != nil {
		return result, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "bench.pkr.hcl")
	body := strings.ReplaceAll(job, "BUILDER", c.Builder)
	if c.Reboot {
		body = strings.Replace(body, "communicator ", "capture = \"reboot\"\n  communicator ", 1)
	}
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		return result, err
	}
	regions, err := json.Marshal(targets(c.Regions))
	if err != nil {
		return result, err
	}
	args := []string{"build", "-color=false", "-var", "regions=" + string(regions)}
	if c.Spot {
		args = append(args, "-var", "spot_price=auto")
	}
	cmd := exec.CommandContext(ctx, t.Packer, append(args, file)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 3 * time.Minute // a cancelled build deletes what it has created
	session := rehearsal.Session{Endpoint: server.URL, AccessKey: "AKIABENCH", SecretKey: "bench"}
	cmd.Env = append(environ(session), "PACKER_PLUGIN_PATH="+filepath.Join(t.Plugins, c.Builder), "PACKER_CONFIG_DIR="+dir, "CHECKPOINT_DISABLE=1", "TMPDIR="+dir, "HOME="+dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begun := time.Now()
	err = cmd.Run()
	result.Wall = time.Since(begun)
	_, _ = fmt.Fprintf(&out, "\ncalls: %v\n", aws.Calls())
	if logErr := os.WriteFile(log, out.Bytes(), 0o600); err == nil {
		err = logErr
	}
	if err != nil {
		return result, fmt.Errorf("%s: %w", c, err)
	}
	mu.Lock()
	defer mu.Unlock()
	result.AWS = last.Sub(first)
	result.Usage = aws.Usage()[0]
	return result, whole(aws, c)
}

// whole is nil where each of a cell's regions has one image, and nothing else
// is left. amazon-ebs does not wait until its instance is gone.
func whole(aws *rehearsal.Server, c Cell) error {
	images := 0
	for region, resources := range aws.Inventory() {
		for _, r := range resources {
			switch {
			case r.Kind == "image" && r.State == "available":
				images++
			case r.Leaked() && !(r.Kind == "instance" && r.State == "shutting-down") && r.Kind != "volume":
				return fmt.Errorf("%s: it has left the %s %s (%s) in %s", c, r.Kind, r.ID, r.State, region)
			}
		}
	}
	if images != c.Regions {
		return fmt.Errorf("%s: it has made %d images", c, images)
	}
	return nil
}

// targets are the regions that the image is copied to, for n in all.
func targets(n int) []string {
	regions := ec2.New(ec2.Config{}).Regions()
	regions = slices.DeleteFunc(regions, func(r string) bool { return r == "eu-central-1" })
	return regions[:n-1]
}

// environ is this process's environment, pointed at the rehearsal.
func environ(s rehearsal.Session) []string {
	set := s.Environ()
	kept := slices.DeleteFunc(os.Environ(), func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "PACKER") || slices.Contains([]string{"TMPDIR", "HOME"}, name)
	})
	for _, line := range set {
		if !strings.HasSuffix(line, "=") {
			kept = append(kept, line)
		}
	}
	return kept
}
