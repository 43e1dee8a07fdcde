// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Command bench runs the benchmarks that compare this project with other software, one
// after another, and writes their results to docs/benchmarks.md as one table. If a
// benchmark fails, the page stays as it is. With names of benchmarks as arguments, it
// runs these alone and prints the page. Run it in the top folder.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/tools/bench/compare"
)

const page = "docs/benchmarks.md"

func main() {
	packer := flag.String("packer", "packer", "`path` of Packer")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, benchmarks(*packer), flag.Args(), *packer); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, all []benchmark, names []string, packer string) error {
	chosen, err := choose(all, names)
	if err != nil {
		return err
	}
	facts, err := inspect(packer)
	if err != nil {
		return err
	}
	begun := time.Now()
	rows, err := measure(ctx, chosen)
	if err != nil {
		return err
	}
	facts.took = time.Since(begun)
	return publish(ctx, page, os.Stdout, len(names) == 0, render(facts, names, chosen, rows))
}

// publish writes a complete page to a file, and prints any other one.
func publish(ctx context.Context, file string, out io.Writer, complete bool, text string) error {
	if !complete {
		_, err := io.WriteString(out, text)
		return err
	}
	_, err := atomicfile.Update(ctx, file, func([]byte) ([]byte, error) { return []byte(text), nil })
	return err
}

// choose returns the benchmarks with the names, or all of them.
func choose(all []benchmark, names []string) ([]benchmark, error) {
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	for _, b := range all {
		known = append(known, b.name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("BENCH: got %q, want some of: %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(b benchmark) bool { return !slices.Contains(names, b.name) }), nil
}

// measure runs the benchmarks, and returns the rows of all.
func measure(ctx context.Context, chosen []benchmark) ([]compare.Row, error) {
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	var all []compare.Row
	for _, b := range chosen {
		fmt.Fprintf(os.Stderr, "\n== %s\n", b.name)
		file := filepath.Join(folder, b.name)
		if err := b.run(ctx, file); err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
		rows, err := compare.Read(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
		for _, r := range rows {
			if r.Benchmark != b.name {
				return nil, fmt.Errorf("%s: got a row of the benchmark %q", b.name, r.Benchmark)
			}
		}
		if len(rows) == 0 {
			return nil, fmt.Errorf("%s: got no rows", b.name)
		}
		all = append(all, rows...)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return all, nil
}

// execute runs a program of a benchmark. Its output is progress.
func execute(ctx context.Context, command ...string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Minute // cancelled builds delete what they have created
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s: %w", strings.Join(command, " "), err)
	}
	return nil
}
