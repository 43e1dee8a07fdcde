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

// minersHead is the configuration that the builds of all simulated miners share.
const minersHead = `
source "ethminer-ami" "x" {
  rehearsal       = true
  rehearsal_state = "state"
  region          = "eu-central-1"
  skip_create_ami = true
}
`

// minersBuild is the build of one simulated miner: its name, the setup of simulated
// GPUs in the sandbox, its program, and its options.
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

// withGPUs installs a simulated driver that lists GPUs, and a toolkit.
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
cat >nvidia-smi <<END
#!/bin/sh
for gpu in $(seq -s ' ' "$GPUS"); do
  case \$* in
    *-L*) echo "GPU \$gpu: Tesla T4" ;;
    *) echo Tesla T4, 7.5, 580.1 ;;
  esac
done
END
printf '#!/bin/sh\nln -sf null /dev/nvidia-uvm\n' >nvidia-modprobe
chmod 755 nvcc nvidia-smi nvidia-modprobe
`
)

// TestMiners builds with every simulated miner on instances of a rehearsal, in parallel.
// Each build must have the expected result and message.
func TestMiners(t *testing.T) {
	build, packer := os.Getenv("ETHMINER_BUILD"), os.Getenv("PACKER")
	if build == "" || packer == "" {
		t.Skip("SKIPPED: requires the plugin and Packer; run: make test")
	}
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: the sandbox requires root")
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
	// The miner that floods its log runs alone.
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
					t.Errorf("output lacks %q:\n%s", part, lines)
				}
			}
		})
	}
	if left, err := run("packer-plugin-ethminer", "rehearsal-aws", "inventory", "--state", "state", "--leaks"); err != nil {
		t.Errorf("got leftover resources: %v\n%s", err, left)
	}
}

// ofBuild returns Packer's output of one build: the lines with its name as prefix, and
// the lines without a prefix that follow them.
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
