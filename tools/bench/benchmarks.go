// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
)

// benchmark compares one part of this project with its peers.
type benchmark struct {
	name    string
	about   string                                       // what is compared, and how
	details string                                       // the page with all results, relative to docs
	run     func(ctx context.Context, rows string) error // appends rows to a file
}

// benchmarks are those of the page, in its order. The last one waits and leaves the
// processor idle; the others need it.
func benchmarks(packer string) []benchmark {
	return []benchmark{
		{"cfn", "sets one cell of a template's region map, and ours also proves the result; medians of 21 rounds, in each of which an editor runs for 20 ms or once", "benchmarks/cfn.md",
			func(ctx context.Context, rows string) error {
				return execute(ctx, "go", "test", "-C", "bench", "-count", "1", "-timeout", "30m", "-run", "^TestRows$", "-v", "./cfn", "-rows", rows)
			}},
		{"light", "makes the light cache of an epoch with the reference miner, and computes as many permutations with OpenSSL; processor time, medians of 7 rounds", "benchmarks/miner.md#light-cache", light},
		{"start", "start-up time and size of the plugin and of packer-plugin-amazon; medians of 41 rounds", "benchmarks/start.md",
			func(ctx context.Context, rows string) error {
				return execute(ctx, "go", "run", "./tools/bench-start", "-packer", packer, "-rows", rows)
			}},
		{"ami", "runs the same job with both builders against an AWS whose delays are **simulated**; the rest is real; medians of 3 builds of each, all at the same time", "benchmarks/ami.md",
			func(ctx context.Context, rows string) error {
				return execute(ctx, "env", "PACKER="+packer, "bench/ami/run", "-rows", rows)
			}},
	}
}

func light(ctx context.Context, rows string) error {
	const folder = "build/miner"
	for _, command := range [][]string{
		{"cmake", "-S", "example/miner", "-B", folder, "-DMINER_TESTS=ON"},
		{"cmake", "--build", folder, "--target", "light_bench"},
		{folder + "/test/light_bench", "390", "7", rows},
	} {
		if err := execute(ctx, command...); err != nil {
			return fmt.Errorf("%w; this benchmark requires CMake, a C++ compiler and the headers of OpenSSL", err)
		}
	}
	return nil
}
