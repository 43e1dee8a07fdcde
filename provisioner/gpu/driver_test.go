// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// gpuInstance returns a bare EC2 instance with one GPU: PCI bus and metadata, with
// stand-ins for apt, dpkg and NVIDIA's programs. The tests use no packages of
// NVIDIA.
func gpuInstance(t *testing.T, release, instanceType string, programs map[string]string) *localInstance {
	t.Helper()
	all := tools()
	maps.Copy(all, map[string]string{
		// Becomes nvidia-smi at the boot that loads the driver.
		"smi": `[ -f "$TMPDIR/../loaded" ] || { echo "NVIDIA-SMI has failed"; exit 9; }
printf 'Tesla T4, 7.5, %s\n' "$(cat "$TMPDIR/../loaded")"
`,
		"apt-get": `echo "$*" >>"$TMPDIR/../apt"
case "$*" in *" install "*) [ ! -f "$TMPDIR/../apt.err" ] || { cat "$TMPDIR/../apt.err" >&2; exit 100; } ;; esac
`,
		"apt-cache": `case $1 in
policy) echo "  Candidate: ${VERSION:-580.95.05-0ubuntu0.24.04.1}" ;;
madison)
	echo "$2 | 580.82.07-1 | archive"
	echo "$2 | 580.95.05-1 | archive"
	;;
esac
`,
		"apt-mark":   `echo "$*" >>"$TMPDIR/../held"` + "\n",
		"dpkg-query": "echo 'installed linux-image-aws'\n",
		"modprobe":   "exit 1\n",
		"id":         "[ \"$1\" = -un ] && echo root || echo 0\n",
		// Like a boot: the driver is loaded, /run is empty.
		"systemctl": `echo "$@" >>"$TMPDIR/../systemctl"
case $1 in reboot)
	[ -f "$TMPDIR/../dead" ] || { sleep 0.2; echo 580.95.05 >"$TMPDIR/../loaded"; cp "$TMPDIR/../bin/smi" "$TMPDIR/../bin/nvidia-smi"; rm -f "$TMPDIR/../root/run/ethminer-gpu-before-reboot"; } ;;
esac
`,
		"nvcc": nvcc(),
	})
	delete(all, "nvidia-smi")
	maps.Copy(all, programs)
	in := newInstance(t, all)
	write(t, filepath.Join(in.root, "etc/os-release"), "ID=ubuntu\nVERSION_ID=\""+release+"\"\n")
	pci := filepath.Join(in.root, "sys/bus/pci/devices")
	for name, ids := range map[string][3]string{
		"0000:00:1e.0": {"0x10de", "0x030200", "0x1eb8"}, // a T4
		"0000:00:03.0": {"0x1d0f", "0x020000", "0xec20"}, // the network card
		"0000:00:04.0": {"0x10de", "0x068000", "0x1af1"}, // an NVSwitch, not a GPU
	} {
		for i, file := range []string{"vendor", "class", "device"} {
			write(t, filepath.Join(pci, name, file), ids[i]+"\n")
		}
	}
	write(t, filepath.Join(in.root, "sys/class/dmi/id/sys_vendor"), "Amazon EC2\n")
	write(t, filepath.Join(in.root, "sys/block/nvme1n1/device/model"), "Amazon EC2 NVMe Instance Storage        \n")
	write(t, filepath.Join(in.root, "sys/block/nvme0n1/device/model"), "Amazon Elastic Block Store\n")
	write(t, filepath.Join(in.root, "boot/vmlinuz-6.8.0-1009-aws"), "")
	write(t, filepath.Join(in.root, "boot/vmlinuz-6.8.0-1030-aws"), "")
	write(t, filepath.Join(in.root, "lib/modules/6.8.0-1030-aws/kernel/nvidia-580srv-open/nvidia.ko"), "")
	if err := os.MkdirAll(filepath.Join(in.root, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	in.imds = metadataServer(t, instanceType)
	return in
}

// metadataServer implements IMDSv2: it requires a token.
func metadataServer(t *testing.T, instanceType string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") != "":
			_, _ = w.Write([]byte("token"))
		case r.Header.Get("X-aws-ec2-metadata-token") != "token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/latest/meta-data/instance-type":
			_, _ = w.Write([]byte(instanceType))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func driverRun(t *testing.T, in *localInstance, options map[string]any) *testRun {
	t.Helper()
	all := map[string]any{"source": minerSource(t, cpuMiner), "execute_as_root": false}
	maps.Copy(all, options)
	p := &Provisioner{root: in.root}
	if err := p.Prepare(all); err != nil {
		t.Fatal(err)
	}
	m, err := remote.New(t.Context(), in, remote.Settings{Scripts: scriptFiles(), Root: in.root})
	if err != nil {
		t.Fatal(err)
	}
	m.Env = map[string]string{"IMDS": in.imds}
	said := &strings.Builder{}
	ui := &packersdk.BasicUi{Reader: strings.NewReader(""), Writer: said, ErrorWriter: said}
	r := &testRun{newRun(p, ui, m), said}
	r.rebootPatience = 20 * time.Second
	return r
}

func TestDriverOnBareInstance(t *testing.T) {
	in := gpuInstance(t, "24.04", "g4dn.xlarge", nil)
	r := driverRun(t, in, map[string]any{"gpu_types": []string{"g5"}})
	r.upTo(t, "driver")
	if d := r.found; d.instanceType != "g4dn.xlarge" || d.pciGPUs != 1 || strings.Join(d.instanceStore, " ") != "/dev/nvme1n1" || strings.Join(d.gpus, " ") != "Tesla T4" {
		t.Errorf("got %+v", d)
	}
	if want := "1 GPU, compute capability 7.5 and 8.6, driver none yet"; !strings.Contains(r.said.String(), want) {
		t.Errorf("got output without %q:\n%s", want, r.said)
	}
	if want := "(installed 580.95.05, rebooted)"; !strings.Contains(r.said.String(), want) {
		t.Errorf("got output without %q:\n%s", want, r.said)
	}
	const version = "=580.95.05-0ubuntu0.24.04.1"
	for _, want := range []string{"linux-modules-nvidia-580-server-open-aws" + version, "nvidia-headless-no-dkms-580-server-open" + version, "nvidia-utils-580-server" + version} {
		if !strings.Contains(in.notes("apt"), want) {
			t.Errorf("got apt-get calls %q, want %q", in.notes("apt"), want)
		}
	}
	if held := in.notes("held"); !strings.Contains(held, "hold linux-image-aws linux-aws linux-modules-nvidia-580-server-open-aws") {
		t.Errorf("got held packages %q", held)
	}
	if got := cudaOptions(r.found); !strings.Contains(strings.Join(got, "|"), "-DCOMPUTE=75|-DCMAKE_CUDA_ARCHITECTURES=75-real;86-real|-DCUDA_NVCC_FLAGS=-gencode;arch=compute_86,code=sm_86") {
		t.Errorf("got CMake options %q", got)
	}

	// The driver is installed now: nothing is installed twice, and the image's
	// packages are held.
	before := in.notes("apt")
	again := driverRun(t, in, map[string]any{"gpu_types": []string{"g5"}})
	again.upTo(t, "driver")
	if in.notes("apt") != before {
		t.Errorf("got further apt-get calls: %q", in.notes("apt"))
	}
}

// TestImageWithDriver: the image's packages are held, and the output says so.
func TestImageWithDriver(t *testing.T) {
	in := gpuInstance(t, "22.04", "g4dn.xlarge", map[string]string{"nvidia-smi": "echo 'Tesla T4, 7.5, 595.45.01'\n"})
	r := driverRun(t, in, nil)
	r.upTo(t, "driver")
	if want := "the image has 595.45.01; held 2 kernel and driver packages"; !strings.Contains(r.said.String(), want) {
		t.Errorf("got output without %q:\n%s", want, r.said)
	}
	if held := in.notes("held"); !strings.Contains(held, "hold linux-image-aws") {
		t.Errorf("got held packages %q", held)
	}
}

// TestAptUpdateWaitsForLock: apt-get update is retried until the lock is released.
func TestAptUpdateWaitsForLock(t *testing.T) {
	in := gpuInstance(t, "24.04", "g4dn.xlarge", map[string]string{"apt-get": `echo "$*" >>"$TMPDIR/../apt"
case "$*" in *" update"*)
	[ "$(grep -c update "$TMPDIR/../apt")" -gt 2 ] || { echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)" >&2; exit 100; } ;;
esac
`})
	r := driverRun(t, in, nil)
	r.upTo(t, "driver")
	if n := strings.Count(in.notes("apt"), " update"); n != 3 {
		t.Errorf("got %d runs of apt-get update, want 3: %q", n, in.notes("apt"))
	}
}

func TestFabricManagerMatchesDriver(t *testing.T) {
	in := gpuInstance(t, "22.04", "p4d.24xlarge", nil)
	r := driverRun(t, in, nil)
	r.upTo(t, "driver")
	if want := "nvidia-fabricmanager-580=580.95.05-1"; !strings.Contains(in.notes("apt"), want) {
		t.Errorf("got apt-get calls %q, want %q", in.notes("apt"), want)
	}
	if want := "enable --now nvidia-fabricmanager.service"; !strings.Contains(in.notes("systemctl"), want) {
		t.Errorf("got systemctl calls %q, want %q", in.notes("systemctl"), want)
	}
}

func TestDriverFailures(t *testing.T) {
	for _, test := range []struct {
		name, release, instanceType string
		programs                    map[string]string
		prepare                     func(t *testing.T, in *localInstance)
		want                        []string
	}{
		{name: "no version", programs: map[string]string{"apt-cache": "echo '  Candidate: (none)'\n"}, want: []string{"linux-aws: no version is available"}},
		{name: "a transitional package", programs: map[string]string{"apt-cache": "echo '  Candidate: 590.1-0ubuntu1'\n"}, want: []string{"nvidia-utils-580-server is 590.1-0ubuntu1, which does not belong to branch 580", "driver_branch"}},
		{name: "apt's lock is held", prepare: func(t *testing.T, in *localInstance) {
			write(t, filepath.Join(in.dir, "apt.err"), "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)\n")
		}, want: []string{"another program held apt's lock for 300 s", "unattended-upgrades", "fuser"}},
		{name: "the disk is full", prepare: func(t *testing.T, in *localInstance) {
			write(t, filepath.Join(in.dir, "apt.err"), "E: You don't have enough free space in /var/cache/apt/archives/.\n")
		}, want: []string{"the disk is full", "launch_block_device_mappings"}},
		{name: "another driver is loaded", programs: map[string]string{
			"systemctl": `[ "$1" != reboot ] || { echo 570.1 >"$TMPDIR/../loaded"; cp "$TMPDIR/../bin/smi" "$TMPDIR/../bin/nvidia-smi"; rm -f "$TMPDIR/../root/run/ethminer-gpu-before-reboot"; }` + "\n",
		}, want: []string{"the loaded driver is 570.1, expected 580.95.05"}},
		{name: "the driver does not come up", programs: map[string]string{
			"systemctl": `[ "$1" != reboot ] || { cp "$TMPDIR/../bin/smi" "$TMPDIR/../bin/nvidia-smi"; rm -f "$TMPDIR/../root/run/ethminer-gpu-before-reboot"; }` + "\n",
		}, want: []string{"the driver 580.95.05 was installed, but nvidia-smi fails: NVIDIA-SMI has failed", "dmesg"}},
		{name: "a kernel that is newer than its modules", prepare: func(t *testing.T, in *localInstance) {
			write(t, filepath.Join(in.root, "boot/vmlinuz-6.8.0-1100-aws"), "")
		}, want: []string{"the kernel that boots next, 6.8.0-1100-aws, has no NVIDIA module (kernels that have one: 6.8.0-1030-aws )", "start from an image with a newer kernel"}},
		{name: "an unsupported type", instanceType: "p2.xlarge", want: []string{"detect: failed", "K80"}},
		{name: "an unsupported distribution", release: "20.04", want: []string{"detect: failed", "the instance runs ubuntu 20.04, expected one of ubuntu 22.04, ubuntu 24.04, debian 12"}},
		{name: "a distribution without a driver", prepare: func(t *testing.T, in *localInstance) {
			write(t, filepath.Join(in.root, "etc/os-release"), "ID=debian\nVERSION_ID=12\n")
		}, want: []string{"no driver (nvidia-smi lists no GPU), and the plugin installs one on Ubuntu only", "Deep Learning AMI"}},
		{name: "a driver that is not ours and fails", programs: map[string]string{"nvidia-smi": "echo Driver/library version mismatch; exit 18\n"},
			want: []string{"detect: failed", "nvidia-smi fails: Driver/library version mismatch", "Deep Learning AMI"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			release, instanceType := "24.04", "g4dn.xlarge"
			if test.release != "" {
				release = test.release
			}
			if test.instanceType != "" {
				instanceType = test.instanceType
			}
			in := gpuInstance(t, release, instanceType, test.programs)
			if test.prepare != nil {
				test.prepare(t, in)
			}
			r := driverRun(t, in, nil)
			err := r.plan("detect")
			if err == nil {
				err = r.plan("driver")
			}
			if err == nil {
				t.Fatalf("got no error:\n%s", r.said)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q:\n%v", part, err)
				}
			}
		})
	}
}

// TestRebootTimeout: connections are refused after the reboot.
func TestRebootTimeout(t *testing.T) {
	in := gpuInstance(t, "24.04", "g4dn.xlarge", nil)
	write(t, filepath.Join(in.dir, "dead"), "")
	r := driverRun(t, in, nil)
	r.rebootPatience = 2 * time.Second
	err := r.plan("detect")
	if err == nil {
		err = r.plan("driver")
	}
	if err == nil || !strings.Contains(err.Error(), "did not come back within 2s of its reboot; check its console output") {
		t.Errorf("got error %v", err)
	}
}

// TestRebootSurvivesRefusedConnections: connections are refused, then accepted.
func TestRebootSurvivesRefusedConnections(t *testing.T) {
	in := gpuInstance(t, "24.04", "g4dn.xlarge", nil)
	var asked atomic.Int32
	in.down = func(command string) error {
		if strings.Contains(command, "ethminer-gpu-before-reboot") && asked.Add(1) < 3 {
			return errors.New("connection refused")
		}
		return nil
	}
	r := driverRun(t, in, nil)
	r.rebootPatience = 4 * time.Second
	r.upTo(t, "driver")
	if asked.Load() < 3 {
		t.Errorf("got %d attempts, want 3 or more", asked.Load())
	}
}
