// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
)

// supported are the distributions whose packages and ways are known here.
var supported = []string{"ubuntu 22.04", "ubuntu 24.04", "debian 12"}

// detected is what the instance is.
type detected struct {
	distribution, kernel, arch, cpu string
	instanceType                    string // EC2's, "" elsewhere
	cores, freeMB                   int
	usedKB                          int      // of the root volume
	gpus                            []string // names, one each
	compute                         []string // "75" for capability 7.5; what to build for
	driver                          string   // version that is loaded, ""
	nvcc                            string   // path, "" without the toolkit
	cuda                            string   // the toolkit's version, such as "12.9"
	hostCompiler                    string   // path of one that nvcc takes, "" for the system's
	pciGPUs                         int      // NVIDIA GPUs on the bus, driver or not
	instanceStore                   []string // disks
	device                          string   // deviceCPU or deviceCUDA: what to mine on
	installed                       string   // SHA-256 of the installed miner, ""
	version                         string   // what it says it is
	report                          string   // benchmark.json, base64
}

// detect looks at the instance and chooses the device.
func (r *run) detect(ctx context.Context) (string, error) {
	a, err := r.machine.run(ctx, script{name: "detect", bound: time.Minute})
	if err != nil {
		return "", err
	}
	d := readDetected(a)
	if !slices.Contains(supported, d.distribution) {
		return "", fmt.Errorf("the instance runs %s, expected one of %s; choose such an image as source_ami", d.distribution, strings.Join(supported, ", "))
	}
	r.stamps = map[string]string{}
	for _, stamp := range a.facts["stamp"] {
		name, key, _ := strings.Cut(stamp, " ")
		r.stamps[name] = key
	}
	driverError := a.fact("driver_error")
	if r.stamps["driver-kb"] != "" {
		driverError = "" // of an earlier run, which did not come to the check of it
	}
	if d.device, err = chooseDevice(r.config.Device, d, driverError); err != nil {
		return "", err
	}
	if d.device == deviceCUDA {
		if d.compute, err = r.computeFor(d); err != nil {
			return "", err
		}
	}
	r.found = d
	if r.config.parsed.kind == sourceFolder || r.config.parsed.localTarball {
		if r.sourceHash, err = hashSource(ctx, r.config.Source); err != nil {
			return "", err
		}
	}
	if d.device == deviceCUDA {
		driver := d.driver
		if driver == "" {
			driver = "none yet"
		}
		return fmt.Sprintf("%s %s%s, %d GPU, compute capability %s, driver %s", d.distribution, d.arch, typeName(d), max(len(d.gpus), d.pciGPUs), dotted(d.compute), driver), nil
	}
	return fmt.Sprintf("%s %s, no CUDA: mining on %d cores of %s", d.distribution, d.arch, d.cores, d.cpu), nil
}

func typeName(d detected) string {
	if d.instanceType == "" {
		return ""
	}
	return " on " + d.instanceType
}

// readDetected reads what detect.sh says.
func readDetected(a *answer) detected {
	d := detected{
		distribution:  a.fact("distribution"),
		kernel:        a.fact("kernel"),
		arch:          a.fact("arch"),
		cpu:           a.fact("cpu"),
		instanceType:  a.fact("instance_type"),
		nvcc:          a.fact("nvcc"),
		cuda:          a.fact("cuda"),
		pciGPUs:       len(a.facts["pci_gpu"]),
		instanceStore: a.facts["instance_store"],
		installed:     a.fact("installed"),
		version:       a.fact("version"),
		report:        a.fact("report"),
	}
	d.cores, _ = strconv.Atoi(a.fact("cores"))
	d.freeMB, _ = strconv.Atoi(a.fact("free_mb"))
	d.usedKB, _ = strconv.Atoi(a.fact("used_kb"))
	d.readGPUs(a)
	return d
}

// readGPUs reads nvidia-smi's lines: name, compute capability, driver.
func (d *detected) readGPUs(a *answer) {
	if len(a.facts["gpu"]) == 0 {
		return
	}
	d.gpus, d.compute = nil, nil
	for _, line := range a.facts["gpu"] {
		fields := strings.Split(line, ",")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		d.gpus = append(d.gpus, fields[0])
		if len(fields) > 1 {
			if c := strings.ReplaceAll(fields[1], ".", ""); !slices.Contains(d.compute, c) {
				d.compute = append(d.compute, c)
			}
		}
		if len(fields) > 2 {
			d.driver = fields[2]
		}
	}
}

// computeFor is what to build for: gpu_types, or else this instance's GPUs,
// which the driver knows, or else the catalogue by EC2's type.
func (r *run) computeFor(d detected) ([]string, error) {
	compute := slices.Clone(d.compute)
	if len(compute) == 0 && d.instanceType != "" {
		c, err := nvidia.Compute(d.instanceType)
		if err != nil {
			return nil, err
		}
		compute = append(compute, c)
	}
	for i, name := range r.config.GPUTypes {
		if name == unknown {
			continue
		}
		c, err := nvidia.Compute(name)
		if err != nil {
			return nil, fmt.Errorf("gpu_types[%d]: %w", i, err)
		}
		if !slices.Contains(compute, c) {
			compute = append(compute, c)
		}
	}
	if len(compute) == 0 {
		return nil, errors.New("nothing says what the GPUs can do: the instance has no driver and is no EC2 instance; name its type in gpu_types, such as [\"g4dn\"]")
	}
	slices.Sort(compute)
	return compute, nil
}

// chooseDevice settles "auto" and refuses what the instance cannot do.
func chooseDevice(wanted string, d detected, driverError string) (string, error) {
	const remedy = "; start from an image with driver and toolkit (such as a Deep Learning AMI), install them before this provisioner, or set device = \"cpu\""
	if wanted == deviceCPU {
		return deviceCPU, nil
	}
	installs := strings.HasPrefix(d.distribution, "ubuntu ")
	switch {
	case driverError != "" && (d.pciGPUs > 0 || wanted == deviceCUDA):
		return "", fmt.Errorf("device %q: nvidia-smi fails: %s%s", wanted, driverError, remedy)
	case len(d.gpus) > 0 && d.nvcc == "" && !installs:
		return "", fmt.Errorf("device %q: the instance has %s with a driver but no CUDA toolkit (nvcc is neither in PATH nor in /usr/local/cuda/bin), which is installed on Ubuntu only%s", wanted, d.gpus[0], remedy)
	case len(d.gpus) > 0:
		return deviceCUDA, nil
	case d.pciGPUs > 0 && installs:
		return deviceCUDA, nil
	case d.pciGPUs > 0:
		return "", fmt.Errorf("device %q: the instance has %d NVIDIA GPU on the PCI bus but no driver that lists it (nvidia-smi), which is installed on Ubuntu only%s", wanted, d.pciGPUs, remedy)
	case wanted == deviceCUDA:
		return "", errors.New("device \"cuda\": the instance has no NVIDIA GPU: none is on its PCI bus, and no driver lists one (nvidia-smi); choose an instance_type with a GPU, such as g4dn.xlarge, or set device = \"cpu\"")
	}
	return deviceCPU, nil
}
