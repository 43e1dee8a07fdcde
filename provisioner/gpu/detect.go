// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// minFreeMB is the least free space, in MiB, for a source, its build and the
// build tools.
const minFreeMB = 200

// detected is what the instance is.
type detected struct {
	distribution, arch, cpu string
	cores, freeMB           int
	gpus                    []string // names, one each
	compute                 string   // "75" for compute capability 7.5
	nvcc                    string   // path, "" without the toolkit
	pciGPUs                 int      // NVIDIA GPUs on the bus, driver or not
	device                  string   // deviceCPU or deviceCUDA: what to mine on
}

// detect looks at the instance and chooses the device.
func (r *run) detect(ctx context.Context) (string, error) {
	a, err := r.machine.run(ctx, script{name: "detect", bound: time.Minute})
	if err != nil {
		return "", err
	}
	d := detected{
		distribution: a.fact("distribution"),
		arch:         a.fact("arch"),
		cpu:          a.fact("cpu"),
		nvcc:         a.fact("nvcc"),
		pciGPUs:      len(a.facts["pci_gpu"]),
	}
	d.cores, _ = strconv.Atoi(a.fact("cores"))
	d.freeMB, err = strconv.Atoi(a.fact("free_mb"))
	if err == nil && d.freeMB < minFreeMB {
		return "", fmt.Errorf("the disk of %s has %d MB free, expected %d MB or more; give the instance a larger root volume (launch_block_device_mappings)", path.Dir(r.machine.work), d.freeMB, minFreeMB)
	}
	for _, line := range a.facts["gpu"] {
		name, compute, _ := strings.Cut(line, ",")
		d.gpus = append(d.gpus, strings.TrimSpace(name))
		d.compute = strings.ReplaceAll(strings.TrimSpace(compute), ".", "")
	}
	d.device, err = chooseDevice(r.config.Device, d, a.fact("driver_error"))
	if err != nil {
		return "", err
	}
	r.found = d
	if d.device == deviceCUDA {
		return fmt.Sprintf("%s %s, %d GPU: %s, compute capability %s", d.distribution, d.arch, len(d.gpus), d.gpus[0], d.compute), nil
	}
	return fmt.Sprintf("%s %s, no CUDA: mining on %d cores of %s", d.distribution, d.arch, d.cores, d.cpu), nil
}

// chooseDevice settles "auto" and refuses what the instance cannot do.
func chooseDevice(wanted string, d detected, driverError string) (string, error) {
	const remedy = "; start from an image with driver and toolkit (such as a Deep Learning AMI), install them before this provisioner, or set device = \"cpu\""
	if wanted == deviceCPU {
		return deviceCPU, nil
	}
	switch {
	case driverError != "" && (d.pciGPUs > 0 || wanted == deviceCUDA):
		return "", fmt.Errorf("device %q: nvidia-smi fails: %s%s", wanted, driverError, remedy)
	case len(d.gpus) > 0 && d.nvcc == "":
		return "", fmt.Errorf("device %q: the instance has %s with a driver but no CUDA toolkit (nvcc is neither in PATH nor in /usr/local/cuda/bin)%s", wanted, d.gpus[0], remedy)
	case len(d.gpus) > 0:
		return deviceCUDA, nil
	case d.pciGPUs > 0:
		return "", fmt.Errorf("device %q: the instance has %d NVIDIA GPU on the PCI bus but no driver that lists it (nvidia-smi)%s", wanted, d.pciGPUs, remedy)
	case wanted == deviceCUDA:
		return "", errors.New("device \"cuda\": the instance has no NVIDIA driver that lists a GPU (nvidia-smi)" + remedy)
	}
	return deviceCPU, nil
}
