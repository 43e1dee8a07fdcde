// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/linuxtest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// sandboxedMiner mines only under the unit: as its user, without new privileges or a home
// folder, and with the device that CUDA needs. It logs each start.
const sandboxedMiner = `#!/bin/sh
` + versionLine + `
[ "$(id -un)" = ethminer ] || { echo "CUDA error: the user is $(id -un)"; exit 2; }
grep -q '^NoNewPrivs:.*1' /proc/self/status || { echo "CUDA error: new privileges are allowed"; exit 2; }
[ ! -w /usr ] || { echo "CUDA error: /usr can be written"; exit 2; }
dd if=/dev/nvidia-uvm count=0 2>/dev/null || { echo "CUDA error: no CUDA driver: /dev/nvidia-uvm is missing"; exit 2; }
case "$*" in *fail-soon*) echo failing; exit 1 ;; esac
while :; do echo ' m 16:39:20 ethminer 0:00 A0 412.30 h - cu0 412.30'; sleep 0.1; done
`

// nvidiaStandIns are the programs of a driver whose module nvidia-uvm is not loaded after
// boot, as on EC2.
func nvidiaStandIns(t *testing.T, system *linuxtest.System) {
	t.Helper()
	system.Write(t, "/usr/local/bin/nvidia-smi", "#!/bin/sh\ncase $* in *-L*) echo 'GPU 0: Tesla T4' ;; *compute_cap*) echo 'Tesla T4, 7.5, 580.95.05' ;; *-pm*) ;; *) exit 9 ;; esac\n", 0o755)
	system.Write(t, "/usr/local/bin/nvidia-modprobe", "#!/bin/sh\n[ \"$*\" = '-u -c 0' ] && ln -sf null /dev/nvidia-uvm\n", 0o755)
	system.Write(t, "/usr/local/cuda-12.9/bin/nvcc", "#!/bin/sh\n"+nvcc(), 0o755)
	system.Write(t, "/usr/local/cuda-12.9/include/cuda_runtime.h", "\n", 0o644)
	system.Write(t, "/usr/local/cuda-12.9/lib64/libcudart_static.a", "\n", 0o644)
	system.Run(t, "rm -f /dev/nvidia-uvm")
}

// TestServiceUnderSystemd installs the miner on booted systems: the test machine's
// (systemd 252 on Debian 12) and Debian 13 (systemd 257).
func TestServiceUnderSystemd(t *testing.T) {
	for name, root := range map[string]func(testing.TB) string{
		"this system": func(testing.TB) string { return linuxtest.Host },
		"Debian 13":   linuxtest.Debian13,
	} {
		t.Run(name, func(t *testing.T) {
			system := linuxtest.Boot(t, root(t))
			nvidiaStandIns(t, system)
			options := func() map[string]any {
				return map[string]any{
					"source": minerSource(t, sandboxedMiner), "build_commands": []string{"cp miner.sh ethminer", "chmod +x ethminer"},
					"benchmark_api": false, "benchmark_warmup": "0s", "benchmark_duration": "2s", "shareable": false,
				}
			}

			r := provisionOn(t, system, "", options())
			r.upTo(t, "gate")
			report, err := miner.DecodeReport([]byte(system.Run(t, "cat "+miner.ReportPath)))
			if err != nil || !report.UnderUnit || report.Verdict != miner.VerdictPassed {
				t.Errorf("got report %+v, %v", report, err)
			}
			if got := strings.TrimSpace(system.Run(t, "systemctl is-active ethminer-benchmark.service || true")); got != "inactive" {
				t.Errorf("got the benchmark's unit %s after the benchmark, want inactive", got)
			}

			// Boot of the image: the unit starts only with a configuration.
			system.Run(t, "rm -f /dev/nvidia-uvm; systemctl start ethminer.service")
			if got := strings.TrimSpace(system.Run(t, "systemctl is-active ethminer.service || true")); got != "inactive" {
				t.Errorf("got ethminer.service %s without a configuration, want inactive", got)
			}
			system.Write(t, "/etc/ethminer/ethminer.conf", "ETHMINER_ARGS=-U -P stratum1+tcp://x@pool.invalid:1\n", 0o600)
			system.Run(t, "systemctl start ethminer.service && systemctl is-active ethminer.service")
			system.Run(t, "timeout 20 sh -c 'until journalctl -q -o cat -u ethminer.service | grep -q \"412.30 h\"; do sleep 0.2; done'")
			system.Run(t, "systemctl stop ethminer.service")

			t.Run("a sandbox that hides the GPU fails the benchmark", func(t *testing.T) {
				system.Write(t, "/etc/systemd/system/ethminer.service.d/hide.conf", "[Service]\nInaccessiblePaths=-/dev/nvidia-uvm -/dev/null\n", 0o644)
				defer system.Run(t, "rm -r /etc/systemd/system/ethminer.service.d")
				o := options()
				o["benchmark_block"] = 60000 // makes the benchmark run again
				r := provisionOn(t, system, "", o)
				err := r.plan("detect")
				for _, phase := range []string{"driver", "toolkit", "source", "edits", "cuda", "configure", "build", "install", "benchmark"} {
					if err == nil {
						err = r.plan(phase)
					}
				}
				if err == nil || !strings.Contains(err.Error(), "as ethminer.service runs it") || !strings.Contains(err.Error(), "/dev/nvidia-uvm is missing") {
					t.Errorf("got error %v\n%s", err, r.said)
				}
			})

			t.Run("a unit that does not start fails the benchmark", func(t *testing.T) {
				system.Run(t, "mv /usr/local/bin/nvidia-modprobe /usr/local/bin/away; rm -f /dev/nvidia-uvm")
				defer system.Run(t, "mv /usr/local/bin/away /usr/local/bin/nvidia-modprobe")
				o := options()
				o["benchmark_block"] = 90000
				r := provisionOn(t, system, "", o)
				r.upTo(t, "install")
				if err := r.plan("benchmark"); err == nil || !strings.Contains(err.Error(), "ethminer.service does not start") {
					t.Errorf("got error %v\n%s", err, r.said)
				}
			})

			t.Run("restarts back off, and recover after a healthy run", func(t *testing.T) {
				system.Write(t, "/etc/ethminer/ethminer.conf", "ETHMINER_ARGS=fail-soon\n", 0o600)
				system.Run(t, "rm -f /run/ethminer.service.starts; sed -i 's/^RestartSec=.*/RestartSec=1/' /etc/systemd/system/ethminer.service; systemctl daemon-reload; systemctl start --no-block ethminer.service")
				system.Run(t, "timeout 60 sh -c 'until [ \"$(cut -d \" \" -f 1 /run/ethminer.service.starts 2>/dev/null)\" = 2 ]; do sleep 0.2; done'")
				system.Run(t, "systemctl stop ethminer.service")
				system.Run(t, "echo '60 0' >/run/ethminer.service.starts; sed -i 's/-lt 600/-lt 1/' /usr/local/lib/ethminer/wait-gpu")
				system.Write(t, "/etc/ethminer/ethminer.conf", "ETHMINER_ARGS=-U\n", 0o600)
				system.Run(t, "timeout 20 systemctl start ethminer.service")
				if got := strings.Fields(system.Run(t, "cat /run/ethminer.service.starts"))[0]; got != "0" {
					t.Errorf("got %s short runs counted after a healthy one, want 0", got)
				}
				system.Run(t, "systemctl stop ethminer.service")
			})
		})
	}
}
