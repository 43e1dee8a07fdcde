// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pool"
)

// canary matches the secrets that a script plants, each with the name of its place, and
// private keys.
var canary = regexp.MustCompile(`canary[A-Z]\w*|BEGIN [A-Z ]*PRIVATE KEY`)

// encoded matches the word canary in base64, at any offset.
var encoded = regexp.MustCompile(func() string {
	var forms []string
	for offset := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("-", offset) + "canary---"))
		forms = append(forms, text[(offset*8+5)/6:(offset+6)*8/6]) // only the characters of the word alone
	}
	return strings.Join(forms, "|")
}())

// secretsIn returns the secrets in a text, encoded ones as base64.
func secretsIn(text string) []string {
	found := canary.FindAllString(text, -1)
	if encoded.MatchString(text) {
		found = append(found, "base64")
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// secrets REGEXP FILE... fails if a file, or a file in a folder, contains a secret that
// does not match.
func secrets(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: secrets REGEXP FILE...")
	}
	known, err := regexp.Compile("^(" + args[0] + ")$")
	ts.Check(err)
	leaked := false
	for _, root := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(root), func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(data)) {
				for _, secret := range secretsIn(line) {
					if !known.MatchString(secret) {
						leaked = true
						ts.Logf("%s contains %s: %.300s", name, secret, line)
					}
				}
			}
			return nil
		}))
	}
	if leaked {
		ts.Fatalf("found secrets")
	}
}

// mine FILE starts a mining pool and writes its address, as an instance of a rehearsal
// reaches it, to the file.
func mine(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: mine FILE")
	}
	p, err := pool.Start(pool.Config{Difficulty: 64})
	ts.Check(err)
	ts.Defer(p.Close)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("pool = \"stratum1+tcp://"+strings.Replace(p.Addr(), "127.0.0.1", "10.0.255.254", 1)+"\"\n"), 0o600))
}

// processes FILE writes the command lines of all processes to the file until the end
// of the script. It omits those of rehearsal instances, which have a pid namespace.
func processes(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg || runtime.GOOS != "linux" {
		ts.Fatalf("usage, on Linux: processes FILE")
	}
	out, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	ts.Check(err)
	mine, err := os.Readlink("/proc/self/ns/pid")
	ts.Check(err)
	stop, stopped := make(chan struct{}), make(chan struct{})
	ts.Defer(func() { close(stop); <-stopped })
	seen := map[string]bool{}
	go func() {
		defer close(stopped)
		defer func() { _ = out.Close() }()
		for {
			found, _ := filepath.Glob("/proc/[0-9]*") // fails only for a malformed pattern
			for _, dir := range found {
				line, _ := os.ReadFile(dir + "/cmdline") // it may have ended
				if ns, err := os.Readlink(dir + "/ns/pid"); err != nil || ns != mine || seen[string(line)] {
					continue
				}
				seen[string(line)] = true
				_, _ = out.WriteString(strings.ReplaceAll(string(line), "\x00", " ") + "\n")
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
}
