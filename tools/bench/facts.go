// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// facts are the circumstances of a run. They name no host, user or path.
type facts struct {
	date, machine, software, commit string
	took                            time.Duration
}

// inspect returns the circumstances at the start of a run.
func inspect(packer string) (facts, error) {
	version, err := output(packer, "version")
	if err != nil {
		return facts{}, err
	}
	hash, err := output("git", "rev-parse", "--short", "HEAD")
	if err != nil {
		return facts{}, err
	}
	changes, err := output("git", "status", "--porcelain")
	if err != nil {
		return facts{}, err
	}
	tree := "no uncommitted changes"
	if changes != "" {
		tree = "with uncommitted changes"
	}
	version, _, _ = strings.Cut(version, "\n") // a newer release may be announced below
	return facts{
		date:     time.Now().UTC().Format(time.DateOnly),
		machine:  machine(read("/proc/cpuinfo"), read("/proc/meminfo"), read("/proc/loadavg"), runtime.NumCPU()),
		software: strings.Join([]string{system(read("/etc/os-release")), runtime.GOOS + "/" + runtime.GOARCH, runtime.Version(), version}, ", "),
		commit:   fmt.Sprintf("`%s`, %s", hash, tree),
	}, nil
}

func output(command ...string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1")
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("running %s: %w", strings.Join(command, " "), err)
	}
	return strings.TrimSpace(string(text)), nil
}

// read returns the text of a file that only Linux has, or "".
func read(file string) string {
	text, _ := os.ReadFile(file)
	return string(text)
}

var (
	cpuModel = regexp.MustCompile(`(?m)^model name\s*:\s*(.+)$`)
	memTotal = regexp.MustCompile(`(?m)^MemTotal:\s*(\d+) kB$`)
	osName   = regexp.MustCompile(`(?m)^PRETTY_NAME="?([^"\n]+)"?$`)
)

// machine describes the machine, from the files of /proc. What they lack is "unknown".
func machine(cpuinfo, meminfo, loadavg string, cpus int) string {
	memory := "unknown"
	if kib, err := strconv.ParseFloat(first(memTotal, meminfo), 64); err == nil {
		memory = fmt.Sprintf("%.1f GiB", kib/(1<<20))
	}
	load := "unknown"
	if fields := strings.Fields(loadavg); len(fields) > 0 {
		load = fields[0]
	}
	return fmt.Sprintf("CPU %s, %d CPUs, memory %s, load average %s before the run", first(cpuModel, cpuinfo), cpus, memory, load)
}

// system is the name of the operating system, from /etc/os-release.
func system(release string) string { return first(osName, release) }

func first(pattern *regexp.Regexp, text string) string {
	if found := pattern.FindStringSubmatch(text); found != nil {
		return strings.TrimSpace(found[1])
	}
	return "unknown"
}
