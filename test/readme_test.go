// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestReadmeExample runs the example of README.md in a rehearsal, unchanged, with only the
// template that README.md names.
func TestReadmeExample(t *testing.T) {
	build, packer := os.Getenv("ETHMINER_BUILD"), os.Getenv("PACKER")
	if build == "" || packer == "" {
		t.Skip("SKIPPED: requires the plugin and Packer; run: make test")
	}
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var pasted []string
	for _, block := range fence.FindAllStringSubmatch(string(page), -1) {
		if strings.Contains(block[2], `source "ethminer-ami"`) {
			pasted = append(pasted, block[2])
		}
	}
	if len(pasted) != 1 {
		t.Fatalf("README.md has %d examples with a source, want 1", len(pasted))
	}
	template, err := os.ReadFile("../example/eth-mining-cfn.template")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("mining.pkr.hcl", pasted[0])
	write("eth-mining-cfn.template", string(template))

	// Packer's own files go to another folder.
	run := runner(build, work, environment(build, packer, t.TempDir()))
	out, err := run(packer, "build", "-var", "rehearsal=true", "mining.pkr.hcl")
	if err != nil {
		t.Fatalf("packer build: %v\n%s", err, out)
	}
	same, err := os.ReadFile(filepath.Join(work, "eth-mining-cfn.template"))
	if err != nil || string(same) != string(template) {
		t.Errorf("the rehearsal changed the template (%v):\n%s", err, same)
	}
	rehearsed, err := os.ReadFile(filepath.Join(work, "rehearsed.template"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	before, after := ami.FindAllString(string(template), -1), ami.FindAllString(string(rehearsed), -1)
	if len(before) != len(after) {
		t.Fatalf("the template had %d images, now has %d", len(before), len(after))
	}
	filled := 0
	for i, id := range after {
		if id != before[i] {
			filled++
		}
	}
	if filled != 3 { // region and ami_regions
		t.Errorf("%d images changed, want 3:\n%s", filled, rehearsed)
	}

	// The server stops with Packer, and only its log remains in the state folder.
	session := filepath.Join(work, "build/rehearsal/state/server.json")
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(session); os.IsNotExist(err) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the rehearsal's server is still running after Packer ended")
		}
	}
	var left []string
	entries, err := os.ReadDir(work)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	want := []string{"build", "eth-mining-cfn.template", "mining.pkr.hcl", "packer-manifest.json", "rehearsed.template"}
	if !slices.Equal(left, want) {
		t.Errorf("the folder contains %q, want %q", left, want)
	}
}
