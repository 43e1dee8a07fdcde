// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Command bench-start compares start-up time and binary size with amazon-ebs. It
// measures `describe`, which Packer runs for every plugin at each start, and
// `packer validate` of the same configuration. The plugins alternate, so that other
// load affects both. It fails if a limit is exceeded.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The limits: at most the time of amazon-ebs, and three quarters of its size.
const (
	mostTime = 1.0
	mostSize = 0.75
)

// contestant is a plugin in a plugin folder of its own.
type contestant struct {
	binary, source, kind string
	plugins, config      string
}

const block = `source %q "x" {
  region        = "us-east-1"
  ami_name      = "start"
  instance_type = "g4dn.xlarge"
  source_ami    = "ami-0123456789abcdef0"
  ssh_username  = "ubuntu"
}
build { sources = ["source.%s.x"] }
`

func main() {
	packer := flag.String("packer", "packer", "`path` of Packer")
	ours := flag.String("ours", "build/packer-plugin-ethminer", "`path` of this plugin, stripped")
	theirs := flag.String("theirs", "build/peers/packer-plugin-amazon", "`path` of packer-plugin-amazon, stripped")
	rounds := flag.Int("rounds", 41, "`number` of runs of each plugin")
	slack := flag.Float64("slack", 0, "allowed excess over the time limit as a `share` of the time of amazon-ebs, for loaded machines")
	flag.Parse()
	missed, err := compare(*packer, *ours, *theirs, *rounds, *slack)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if missed > 0 {
		fmt.Printf("%d limits exceeded\n", missed)
		os.Exit(1)
	}
}

func compare(packer, ours, theirs string, rounds int, slack float64) (missed int, err error) {
	folder, err := os.MkdirTemp("", "bench-start")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	pair := []contestant{
		{binary: ours, source: "github.com/eth-mining/ethminer", kind: "ethminer-ami"},
		{binary: theirs, source: "github.com/hashicorp/amazon", kind: "amazon-ebs"},
	}
	var sizes []float64
	for i := range pair {
		if err := pair[i].install(packer, folder); err != nil {
			return 0, err
		}
		info, err := os.Stat(pair[i].binary)
		if err != nil {
			return 0, err
		}
		sizes = append(sizes, float64(info.Size())/1e6)
	}
	fmt.Printf("%-16s %12s %12s %8s %6s\n", "", "ethminer-ami", "amazon-ebs", "ratio", "limit")
	row := func(what, unit string, a, b, ratio, bar float64) {
		verdict := ""
		if ratio > bar {
			missed++
			verdict = "  exceeded"
		}
		fmt.Printf("%-16s %9.1f %s %9.1f %s %8.3f %6.2f%s\n", what, a, unit, b, unit, ratio, bar, verdict)
	}
	for _, act := range []struct {
		what    string
		command func(contestant) *exec.Cmd
	}{
		{"describe", func(c contestant) *exec.Cmd { return exec.Command(c.binary, "describe") }},
		{"packer validate", func(c contestant) *exec.Cmd { return c.packer(packer, "validate", c.config) }},
	} {
		a, b, ratio, err := race(pair, rounds, act.command)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", act.what, err)
		}
		row(act.what, "ms", a, b, ratio, mostTime+slack)
	}
	row("stripped size", "MB", sizes[0], sizes[1], sizes[0]/sizes[1], mostSize)
	return missed, nil
}

// install creates the plugin folder and the configuration of a contestant.
func (c *contestant) install(packer, folder string) error {
	c.plugins, c.config = filepath.Join(folder, c.kind), filepath.Join(folder, c.kind+".pkr.hcl")
	if err := os.WriteFile(c.config, fmt.Appendf(nil, block, c.kind, c.kind), 0o600); err != nil {
		return err
	}
	out, err := c.packer(packer, "plugins", "install", "--path", c.binary, c.source).CombinedOutput()
	if err != nil {
		return fmt.Errorf("installing %s: %w\n%s", c.binary, err, out)
	}
	return nil
}

func (c *contestant) packer(packer string, args ...string) *exec.Cmd {
	command := exec.Command(packer, args...)
	command.Env = append(os.Environ(), "PACKER_PLUGIN_PATH="+c.plugins, "PACKER_CONFIG_DIR="+c.plugins, "CHECKPOINT_DISABLE=1")
	return command
}

// race runs both plugins in alternating order. It returns the medians of their times
// in milliseconds, and the median of the ratios of each round.
func race(pair []contestant, rounds int, command func(contestant) *exec.Cmd) (a, b, ratio float64, err error) {
	times, ratios := make([][]float64, 2), []float64{}
	for round := range rounds + 1 {
		took := make([]float64, 2)
		for turn := range 2 {
			i := (turn + round) % 2
			begun := time.Now()
			if out, err := command(pair[i]).CombinedOutput(); err != nil {
				return 0, 0, 0, fmt.Errorf("%s: %w\n%s", pair[i].kind, err, strings.TrimSpace(string(out)))
			}
			took[i] = time.Since(begun).Seconds() * 1000
		}
		if round == 0 {
			continue // the first round reads the files from disk
		}
		times[0], times[1] = append(times[0], took[0]), append(times[1], took[1])
		ratios = append(ratios, took[0]/took[1])
	}
	return median(times[0]), median(times[1]), median(ratios), nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
