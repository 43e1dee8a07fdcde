// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

// Command faults injects faults into the requests of whole builds, and checks that each
// build completes, or fails and leaves nothing that it does not name.
//
// Each run is the real Packer with the plugin and a proxy in front of the simulated AWS.
// The plugin's clock runs 20 times faster (internal/clock). A clean run records the
// requests; every kind of fault is injected at some requests of each class.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := sweep(ctx)
	stop()
	if err != nil {
		log.Fatal("faults: ", err)
	}
}

var errFound = errors.New("some builds did not end as they must")

// options are the flags.
type options struct {
	tools
	peers   string // the folder into which Packer has installed amazon-ebs
	workers int
	sample  int
	peer    int // runs of amazon-ebs
	seed    uint64
	folder  string

	scenario, fault, target *regexp.Regexp
}

func parse() (o options, err error) {
	flag.StringVar(&o.packer, "packer", "packer", "`path` of Packer")
	flag.StringVar(&o.plugin, "plugin", "", "`path` of the plugin, linked with a fast clock")
	flag.StringVar(&o.plugins, "plugins", "", "`folder` into which Packer has installed it")
	flag.StringVar(&o.peers, "amazon", "", "`folder` into which Packer has installed the amazon plugin")
	flag.IntVar(&o.workers, "workers", 4, "number of builds at once")
	flag.IntVar(&o.sample, "sample", 0, "number of runs, a random sample; 0 is all")
	flag.IntVar(&o.peer, "peer", 0, "number of runs of amazon-ebs, a random sample")
	flag.Uint64Var(&o.seed, "seed", 1, "of the choice of requests and of the samples")
	which := flag.String("scenario", "", "`regexp` of scenarios")
	kind := flag.String("fault", "", "`regexp` of kinds of faults")
	at := flag.String("at", "", "`regexp` of requests, such as ec2:CopyImage")
	flag.StringVar(&o.folder, "out", "build/faults/bad", "`folder` for the output of builds that ended badly")
	flag.Parse()
	var errs [3]error
	o.scenario, errs[0] = regexp.Compile(*which)
	o.fault, errs[1] = regexp.Compile(*kind)
	o.target, errs[2] = regexp.Compile(*at)
	err = errors.Join(errs[:]...)
	for _, path := range []*string{&o.plugin, &o.plugins, &o.peers} { // a build runs in a folder of its own
		absolute, failed := filepath.Abs(*path)
		*path, err = absolute, errors.Join(err, failed)
	}
	return o, err
}

func sweep(ctx context.Context) error {
	o, err := parse()
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(o.folder), os.MkdirAll(o.folder, 0o755)); err != nil {
		return err
	}
	ours, err := o.sweep(ctx, scenarios, o.sample)
	if err != nil {
		return err
	}
	if o.peer > 0 {
		p := o
		p.plugins, p.folder = o.peers, filepath.Join(o.folder, "amazon-ebs")
		if err := os.MkdirAll(p.folder, 0o755); err != nil {
			return err
		}
		fmt.Println("amazon-ebs:")
		if _, err := p.sweep(ctx, peerScenarios(), o.peer); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(ours, func(r *run) bool { return r.verdict > named }) {
		return fmt.Errorf("%w: their output is in %s", errFound, o.folder)
	}
	return nil
}

// sweep does a clean run of each scenario, and the runs with faults that it suggests.
func (o options) sweep(ctx context.Context, scenarios []scenario, most int) ([]*run, error) {
	begun := time.Now()
	random := rand.New(rand.NewPCG(o.seed, 0)) //nolint:gosec // a sample needs no secrecy
	var runs []*run
	for _, s := range scenarios {
		if !o.scenario.MatchString(s.name) {
			continue
		}
		r := &run{scenario: s, tools: o.tools}
		if err := r.do(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", r, err)
		}
		if r.verdict != survived {
			return nil, fmt.Errorf("%s: %s\n%s", r, strings.Join(r.why, "\n"), r.builds[0].output)
		}
		byClass := targets(r.proxy.calls, random)
		printClasses(os.Stdout, s, r.proxy.calls, byClass)
		runs = append(runs, plan(s, o.tools, byClass, faults)...)
	}
	var chosen []*run
	for _, r := range runs {
		if o.fault.MatchString(r.fault.name) && o.target.MatchString(r.target.String()) {
			chosen = append(chosen, r)
		}
	}
	if most > 0 && most < len(chosen) {
		random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:most]
	}
	fmt.Printf("%d of %d runs, %d at once\n", len(chosen), len(runs), o.workers)
	err := doAll(ctx, chosen, o.workers, o.folder)
	chosen = slices.DeleteFunc(chosen, func(r *run) bool { return !r.done })
	printTable(os.Stdout, chosen)
	printLeaks(os.Stdout, chosen)
	fmt.Printf("%d runs in %s\n", len(chosen), time.Since(begun).Round(time.Second))
	return chosen, err
}

// doAll does the runs, and prints those that end badly as they end.
func doAll(ctx context.Context, runs []*run, workers int, folder string) error {
	next := make(chan int)
	go func() {
		defer close(next)
		for i := range runs {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	var wait sync.WaitGroup
	var done atomic.Int64
	var mu sync.Mutex
	var failures []error
	for range workers {
		wait.Go(func() {
			for i := range next {
				r := runs[i]
				err := r.do(ctx)
				n := done.Add(1)
				mu.Lock()
				if r.done = err == nil; !r.done {
					failures = append(failures, fmt.Errorf("%s: %w", r, err))
				}
				if r.verdict > named {
					fmt.Printf("%d/%d %s\n", n, len(runs), r)
					for _, why := range r.why {
						fmt.Println("   ", why)
					}
					failures = append(failures, r.save(filepath.Join(folder, fmt.Sprintf("%04d.txt", i))))
				} else if n%100 == 0 {
					fmt.Printf("%d/%d\n", n, len(runs))
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return errors.Join(append(failures, ctx.Err())...)
}

// save writes all about a run to a file.
func (r *run) save(file string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n%s\n", r, strings.Join(r.why, "\n"))
	for _, b := range r.builds {
		fmt.Fprintf(&text, "\n--- exit code %d\n%s", b.code, b.output)
	}
	return os.WriteFile(file, []byte(text.String()), 0o600)
}
