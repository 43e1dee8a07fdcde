// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/test/miners"
)

// minersHead is what the builds of all stand-ins share.
const minersHead = `
source "ethminer-ami" "x" {
  rehearsal       = true
  rehearsal_state = "state"
  region          = "eu-central-1"
  skip_create_ami = true
}
`

// minersBuild is the build of one: its name, what makes a machine with GPUs of
// the sandbox, its program, and its options.
const minersBuild = `
build {
  source "source.ethminer-ami.x" {
    name     = %[1]q
    ami_name = %[1]q
  }
%[2]s
  provisioner "ethminer-gpu" {
    source             = "source"
    build_commands     = ["install -m 755 %[1]s.sh ethminer"]
    phases             = ["toolkit", "source", "build", "install", "benchmark", "gate"]
    benchmark_block    = 1
    service            = false
%[3]s  }
}
`

// withGPUs gives the machine a driver that lists GPUs, and a toolkit.
const (
	withGPUs = `
  provisioner "shell" {
    script           = "gpus"
    environment_vars = ["GPUS=%d"]
    execute_command  = "sudo -n env {{ .Vars }} sh {{ .Path }}"
  }
`
	gpusScript = `set -eu
cd /usr/local/bin
echo '#!/bin/sh' >nvcc
cp nvcc nvidia-smi
for gpu in $(seq "$GPUS"); do
  echo 'echo Tesla T4, 7.5, 580.1' >>nvidia-smi
done
chmod 755 nvcc nvidia-smi
`
)

// Every stand-in miner gets its verdict and its message from a real Packer, on
// instances of a rehearsal. They are built side by side.
func TestMiners(t *testing.T) {
	build, packer := os.Getenv("ETHMINER_BUILD"), os.Getenv("PACKER")
	if build == "" || packer == "" {
		t.Skip("SKIPPED: needs the plugin and Packer: run `make test`, which builds them")
	}
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root for the sandbox")
	}
	all, err := miners.All()
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	write(t, filepath.Join(work, "gpus"), gpusScript)
	job := minersHead
	for _, m := range all {
		write(t, filepath.Join(work, "source", m.Name+".sh"), m.Script)
		tools, options := "", ""
		if m.GPUs > 0 {
			tools = fmt.Sprintf(withGPUs, m.GPUs)
		}
		preset := map[string]any{"benchmark_warmup": "0s", "benchmark_duration": "1s", "benchmark_start_timeout": "20s"}
		for name, value := range m.Options {
			preset[name] = value
		}
		for name, value := range preset {
			options += fmt.Sprintf("    %s = %#v\n", name, value)
		}
		job += fmt.Sprintf(minersBuild, m.Name, tools, options)
	}
	write(t, filepath.Join(work, "job.pkr.hcl"), job)

	env := environment(build, packer, work)
	run := runner(build, work, env)
	serve(t, build, work, env)
	// The one that floods its log takes the machine for itself.
	const flood = "ethminer-ami.prints_for_ever"
	said, err := run(packer, "build", "-parallel-builds=3", "-except", flood, "job.pkr.hcl")
	if err == nil || !strings.Contains(said, "ethminer-ami.") {
		t.Fatalf("%v\n%s", err, said)
	}
	flooded, err := run(packer, "build", "-only", flood, "job.pkr.hcl")
	if err != nil {
		t.Fatalf("%v\n%s", err, flooded)
	}
	said += flooded
	for _, m := range all {
		t.Run(m.Name, func(t *testing.T) {
			lines := ofBuild(said, "ethminer-ami."+m.Name)
			failed := strings.Contains(lines, ": failed after ")
			if failed != (len(m.Fails) > 0) {
				t.Fatalf("failed: %v\n%s", failed, lines)
			}
			for _, part := range append(m.Fails, m.Says...) {
				if !strings.Contains(lines, part) {
					t.Errorf("it lacks %q:\n%s", part, lines)
				}
			}
		})
	}
	if left, err := run("packer-plugin-ethminer", "rehearsal-aws", "inventory", "--state", "state", "--leaks"); err != nil {
		t.Errorf("left behind: %v\n%s", err, left)
	}
}

// ofBuild are the lines that Packer prints for one of its builds: those with its
// name in front, and what follows them without any.
func ofBuild(said, name string) string {
	var lines []string
	ours := false
	for line := range strings.Lines(said) {
		head, text, named := strings.Cut(line, "ethminer-ami.")
		switch {
		case !named:
			text = line
		case strings.Trim(head, "=>- ") == "":
			text, ours = strings.CutPrefix("ethminer-ami."+text, name+":")
		default:
			ours = false
		}
		if ours {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
