// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
)

// class is a set of calls that a build makes for the same reason: they differ only in
// the region, or in their number.
type class struct {
	Service, Action, Role string
	DryRun                bool
}

func (c class) String() string {
	text := c.Service + ":" + c.Action
	if c.DryRun {
		text += " (dry run)"
	}
	return text + ", " + c.Role
}

func classOf(c call) class {
	k := class{Service: c.Service, Action: c.Action, DryRun: c.DryRun, Role: "other regions"}
	switch c.Service {
	case "iam", "sts", "pricing":
		k.Role = "global"
	default:
		if c.Region == home {
			k.Role = "build region"
		}
	}
	return k
}

// targets returns the requests of a clean build that faults strike, by class: the
// first, the middle and the last one in the build's region, and the first and the last
// one in one of the others.
func targets(calls []call, random *rand.Rand) map[class][]target {
	count := map[call]int{}
	for _, c := range calls {
		count[c]++
	}
	regions := map[class][]call{}
	for c := range count {
		regions[classOf(c)] = append(regions[classOf(c)], c)
	}
	all := map[class][]target{}
	for _, k := range sortedClasses(regions) {
		list := regions[k]
		slices.SortFunc(list, func(a, b call) int { return cmp.Compare(a.Region, b.Region) })
		c := list[random.IntN(len(list))]
		n := count[c]
		nths := []int{1, n}
		if k.Role == "build region" {
			nths = []int{1, (n + 1) / 2, n}
		}
		slices.Sort(nths)
		for _, nth := range slices.Compact(nths) {
			all[k] = append(all[k], target{c, nth})
		}
	}
	return all
}

func sortedClasses[T any](m map[class]T) []class {
	var keys []class
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b class) int { return cmp.Compare(a.String(), b.String()) })
	return keys
}

// plan returns a run for each target and each fault that applies to it.
func plan(s scenario, t tools, byClass map[class][]target, kinds []fault) (runs []*run) {
	for _, k := range sortedClasses(byClass) {
		for _, at := range byClass[k] {
			for i := range kinds {
				if s.peer && strings.HasPrefix(kinds[i].signal, "kill") {
					continue // it has neither resume nor sweep
				}
				if kinds[i].applies(at.call) {
					runs = append(runs, &run{scenario: s, tools: t, fault: &kinds[i], target: at})
				}
			}
		}
	}
	return runs
}

// printClasses prints what the sweep treats alike.
func printClasses(out io.Writer, s scenario, calls []call, byClass map[class][]target) {
	count := map[class]int{}
	for _, c := range calls {
		count[classOf(c)]++
	}
	_, _ = fmt.Fprintf(out, "%s: %d requests, %d classes\n", s.name, len(calls), len(byClass))
	for _, k := range sortedClasses(byClass) {
		_, _ = fmt.Fprintf(out, "  %4d %s\n", count[k], k)
	}
}
