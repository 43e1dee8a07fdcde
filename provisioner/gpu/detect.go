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

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/nvidia"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
	"github.com/eth-mining/packer-plugin-ethminer/provisioner/gpu/config"
)

// supported are the supported distributions.
var supported = []string{"ubuntu 22.04", "ubuntu 24.04", "debian 12", "debian 13"}

// detect inspects the instance and chooses the device.
func (r *run) detect(ctx context.Context) (string, error) {
	a, err := r.machine.Run(ctx, remote.Script{Name: "detect", Bound: time.Minute})
	if err != nil {
		return "", err
	}
	d := readDetected(a)
	if !slices.Contains(supported, d.distribution) {
		return "", fmt.Errorf("the instance runs %s, expected one of %s; choose a source_ami with one of them", d.distribution, strings.Join(supported, ", "))
	}
	r.stamps = map[string]string{}
	for _, stamp := range a.Facts("stamp") {
		name, key, _ := strings.Cut(stamp, " ")
		r.stamps[name] = key
	}
	driverError := a.Fact("driver_error")
	if r.stamps["driver-kb"] != "" {
		driverError = "" // an earlier run installed a driver but was interrupted before its check
	}
	if d.device, err = chooseDevice(r.config.Device, d, driverError); err != nil {
		return "", err
	}
	if d.device == miner.DeviceCUDA {
		if d.compute, err = r.computeFor(d); err != nil {
			return "", err
		}
	}
	r.found = d
	if r.config.Settings().Kind == config.SourceFolder || r.config.Settings().LocalTarball {
		if r.sourceHash, err = remote.HashSource(ctx, r.config.Source); err != nil {
			return "", err
		}
	}
	if d.device == miner.DeviceCUDA {
		driver := d.driver
		if driver == "" {
			driver = "none yet"
		}
		return fmt.Sprintf("%s %s%s, %s, compute capability %s, driver %s", d.distribution, d.arch, typeName(d), countGPUs("", max(len(d.gpus), d.pciGPUs)), dotted(d.compute), driver), nil
	}
	return fmt.Sprintf("%s %s, no CUDA: mining on %d cores of %s", d.distribution, d.arch, d.cores, d.cpu), nil
}

func typeName(d detected) string {
	if d.instanceType == "" {
		return ""
	}
	return " on " + d.instanceType
}

// readDetected parses the output of detect.sh.
func readDetected(a *remote.Answer) detected {
	d := detected{
		distribution:  a.Fact("distribution"),
		kernel:        a.Fact("kernel"),
		arch:          a.Fact("arch"),
		cpu:           a.Fact("cpu"),
		instanceType:  a.Fact("instance_type"),
		toolkits:      readToolkits(a),
		pciGPUs:       len(a.Facts("pci_gpu")),
		instanceStore: a.Facts("instance_store"),
		installed:     a.Fact("installed"),
		version:       a.Fact("version"),
		report:        a.Fact("report"),
	}
	d.cores, _ = strconv.Atoi(a.Fact("cores"))
	d.freeMB, _ = strconv.Atoi(a.Fact("free_mb"))
	d.usedKB, _ = strconv.Atoi(a.Fact("used_kb"))
	d.readGPUs(a)
	return d
}

// readGPUs parses nvidia-smi's lines: name, compute capability, driver.
func (d *detected) readGPUs(a *remote.Answer) {
	if len(a.Facts("gpu")) == 0 {
		return
	}
	d.gpus, d.compute = nil, nil
	for _, line := range a.Facts("gpu") {
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

// computeFor returns the capabilities to build for: those of gpu_types, and of
// this instance by its driver or else by its EC2 type.
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
		if name == hclvalue.Unknown {
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
		return nil, errors.New("cannot determine the compute capability: the instance has no driver and no EC2 instance type; set gpu_types, such as [\"g4dn\"]")
	}
	slices.Sort(compute)
	return compute, nil
}

// chooseDevice resolves "auto" and returns an error if the instance does not
// support the device.
func chooseDevice(wanted string, d detected, driverError string) (string, error) {
	const remedy = "; start from an image with a driver and a CUDA toolkit (such as a Deep Learning AMI), install them before this provisioner, or set device = \"cpu\""
	if wanted == miner.DeviceCPU {
		return miner.DeviceCPU, nil
	}
	installs := strings.HasPrefix(d.distribution, "ubuntu ")
	switch {
	case driverError != "" && (d.pciGPUs > 0 || wanted == miner.DeviceCUDA):
		return "", fmt.Errorf("device %q: nvidia-smi fails: %s%s", wanted, driverError, remedy)
	case len(d.gpus) > 0 && len(d.toolkits) == 0 && !installs:
		return "", fmt.Errorf("device %q: the instance has %s with a driver but no CUDA toolkit (no nvcc in PATH or /usr/local/cuda*/bin), and the plugin installs one on Ubuntu only%s", wanted, d.gpus[0], remedy)
	case len(d.gpus) > 0:
		return miner.DeviceCUDA, nil
	case d.pciGPUs > 0 && installs:
		return miner.DeviceCUDA, nil
	case d.pciGPUs > 0:
		return "", fmt.Errorf("device %q: the instance has %s on the PCI bus but no driver (nvidia-smi lists no GPU), and the plugin installs one on Ubuntu only%s", wanted, countGPUs("NVIDIA ", d.pciGPUs), remedy)
	case wanted == miner.DeviceCUDA:
		return "", errors.New("device \"cuda\": the instance has no NVIDIA GPU (none on the PCI bus, none listed by nvidia-smi); choose an instance_type with a GPU, such as g4dn.xlarge, or set device = \"cpu\"")
	}
	return miner.DeviceCPU, nil
}

// readToolkits parses the toolkits that describe_toolkit of lib.sh reports, without
// duplicates.
func readToolkits(a *remote.Answer) []nvidia.Installed {
	var all []nvidia.Installed
	for _, line := range a.Facts("toolkit") {
		f := strings.Split(line, "|")
		if len(f) != 5 {
			continue
		}
		t := nvidia.Installed{Version: f[0], NVCC: f[1], Root: f[2], Include: f[3], Lib: f[4]}
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

// dotted formats capabilities as NVIDIA does: "7.5 and 8.6".
func dotted(compute []string) string {
	var all []string
	for _, c := range compute {
		if len(c) > 1 {
			c = c[:len(c)-1] + "." + c[len(c)-1:]
		}
		all = append(all, c)
	}
	return strings.Join(all, " and ")
}

// countGPUs formats a number of GPUs of a vendor, such as "4 NVIDIA GPUs".
func countGPUs(vendor string, n int) string {
	if n == 1 {
		return "1 " + vendor + "GPU"
	}
	return fmt.Sprintf("%d %sGPUs", n, vendor)
}
