// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Command bench-start compares start-up time and binary size with amazon-ebs. It
// measures `describe`, which Packer runs for every plugin at each start, and
// `packer validate` of the same configuration. The plugins alternate, so that other
// load affects both. It fails if a limit is exceeded, except with -rows.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/tools/bench/compare"
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
	file := flag.String("rows", "", "`file` to append the results to for `make bench`; limits are printed, but not enforced")
	flag.Parse()
	rows, missed, err := measure(*packer, *ours, *theirs, *rounds, *slack)
	if err == nil && *file != "" {
		err, missed = compare.Append(*file, rows...), 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if missed > 0 {
		fmt.Printf("%d limits exceeded\n", missed)
		os.Exit(1)
	}
}

func measure(packer, ours, theirs string, rounds int, slack float64) (rows []compare.Row, missed int, err error) {
	folder, err := os.MkdirTemp("", "bench-start")
	if err != nil {
		return nil, 0, err
	}
	defer os.RemoveAll(folder)
	pair := []contestant{
		{binary: ours, source: "github.com/eth-mining/ethminer", kind: "ethminer-ami"},
		{binary: theirs, source: "github.com/hashicorp/amazon", kind: "amazon-ebs"},
	}
	var sizes []float64
	for i := range pair {
		if err := pair[i].install(packer, folder); err != nil {
			return nil, 0, err
		}
		info, err := os.Stat(pair[i].binary)
		if err != nil {
			return nil, 0, err
		}
		sizes = append(sizes, float64(info.Size())/1e6)
	}
	version, err := compare.PluginVersion(theirs)
	if err != nil {
		return nil, 0, err
	}
	fmt.Printf("%-16s %12s %12s %8s %6s\n", "", "ethminer-ami", "amazon-ebs", "ratio", "limit")
	row := func(what, measured, unit string, a, b, ratio, bar float64) {
		verdict := ""
		if ratio > bar {
			missed++
			verdict = "  exceeded"
		}
		shown, scale := unit, 1.0
		if unit == "s" {
			shown, scale = "ms", 1000
		}
		fmt.Printf("%-16s %9.1f %s %9.1f %s %8.3f %6.2f%s\n", what, a*scale, shown, b*scale, shown, ratio, bar, verdict)
		rows = append(rows, compare.Row{Benchmark: "start", Measured: measured, Unit: unit, Ours: a, Peer: "packer-plugin-amazon", Version: version, Theirs: b, Ratio: ratio, Note: "has more builders and data sources"})
	}
	for _, act := range []struct {
		what, measured string
		command        func(contestant) *exec.Cmd
	}{
		{"describe", "`describe`, which Packer runs at each start", func(c contestant) *exec.Cmd { return exec.Command(c.binary, "describe") }},
		{"packer validate", "`packer validate` of six lines", func(c contestant) *exec.Cmd { return c.packer(packer, "validate", c.config) }},
	} {
		times, err := compare.Race(rounds, timed(pair[0], act.command), timed(pair[1], act.command))
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", act.what, err)
		}
		a, b, ratio := compare.Medians(times[0], times[1])
		row(act.what, act.measured, "s", a, b, ratio, mostTime+slack)
	}
	row("stripped size", "size of the stripped binary", "MB", sizes[0], sizes[1], sizes[0]/sizes[1], mostSize)
	return rows, missed, nil
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

// timed returns a contestant's turn: the seconds that a command of it takes.
func timed(c contestant, command func(contestant) *exec.Cmd) func() (float64, error) {
	return func() (float64, error) {
		begun := time.Now()
		if out, err := command(c).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s: %w\n%s", c.kind, err, strings.TrimSpace(string(out)))
		}
		return time.Since(begun).Seconds(), nil
	}
}
