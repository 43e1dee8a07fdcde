// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package catalog contains the constant data of the simulated EC2: instance types with
// their prices, regions, and public images. It has no state.
package catalog

import (
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Type describes an instance type.
type Type struct {
	Name, Arch    string
	CPUs, Memory  int // vCPUs, MiB
	GPUs, GPUMiB  int // number of GPUs, memory of each in MiB
	GPU, GPUMaker string
}

// Types lists the supported instance types: the GPU families and a few others. The
// figures come from AWS's documentation.
var Types = []Type{
	{Name: "m1.small", Arch: "x86_64", CPUs: 1, Memory: 1740},
	{Name: "t2.micro", Arch: "x86_64", CPUs: 1, Memory: 1024},
	{Name: "t3.nano", Arch: "x86_64", CPUs: 2, Memory: 512},
	{Name: "t3.micro", Arch: "x86_64", CPUs: 2, Memory: 1024},
	{Name: "t3.small", Arch: "x86_64", CPUs: 2, Memory: 2048},
	{Name: "t3.medium", Arch: "x86_64", CPUs: 2, Memory: 4096},
	{Name: "t3.large", Arch: "x86_64", CPUs: 2, Memory: 8192},
	{Name: "t3a.small", Arch: "x86_64", CPUs: 2, Memory: 2048},
	{Name: "t4g.micro", Arch: "arm64", CPUs: 2, Memory: 1024},
	{Name: "t4g.small", Arch: "arm64", CPUs: 2, Memory: 2048},
	{Name: "m5.large", Arch: "x86_64", CPUs: 2, Memory: 8192},
	{Name: "m5.xlarge", Arch: "x86_64", CPUs: 4, Memory: 16384},
	{Name: "m6i.large", Arch: "x86_64", CPUs: 2, Memory: 8192},
	{Name: "m7g.large", Arch: "arm64", CPUs: 2, Memory: 8192},
	{Name: "c5.large", Arch: "x86_64", CPUs: 2, Memory: 4096},
	{Name: "c5.xlarge", Arch: "x86_64", CPUs: 4, Memory: 8192},
	{Name: "c6i.xlarge", Arch: "x86_64", CPUs: 4, Memory: 8192},
	{Name: "c7g.large", Arch: "arm64", CPUs: 2, Memory: 4096},
	{"g3s.xlarge", "x86_64", 4, 31232, 1, 7680, "M60", "NVIDIA"},
	{"g3.4xlarge", "x86_64", 16, 124928, 1, 7680, "M60", "NVIDIA"},
	{"g4dn.xlarge", "x86_64", 4, 16384, 1, 15360, "T4", "NVIDIA"},
	{"g4dn.2xlarge", "x86_64", 8, 32768, 1, 15360, "T4", "NVIDIA"},
	{"g4dn.4xlarge", "x86_64", 16, 65536, 1, 15360, "T4", "NVIDIA"},
	{"g4dn.8xlarge", "x86_64", 32, 131072, 1, 15360, "T4", "NVIDIA"},
	{"g4dn.12xlarge", "x86_64", 48, 196608, 4, 15360, "T4", "NVIDIA"},
	{"g4dn.16xlarge", "x86_64", 64, 262144, 1, 15360, "T4", "NVIDIA"},
	{"g4dn.metal", "x86_64", 96, 393216, 8, 15360, "T4", "NVIDIA"},
	{"g4ad.xlarge", "x86_64", 4, 16384, 1, 8192, "Radeon Pro V520", "AMD"},
	{"g4ad.2xlarge", "x86_64", 8, 32768, 1, 8192, "Radeon Pro V520", "AMD"},
	{"g5.xlarge", "x86_64", 4, 16384, 1, 22888, "A10G", "NVIDIA"},
	{"g5.2xlarge", "x86_64", 8, 32768, 1, 22888, "A10G", "NVIDIA"},
	{"g5.4xlarge", "x86_64", 16, 65536, 1, 22888, "A10G", "NVIDIA"},
	{"g5.12xlarge", "x86_64", 48, 196608, 4, 22888, "A10G", "NVIDIA"},
	{"g5.48xlarge", "x86_64", 192, 786432, 8, 22888, "A10G", "NVIDIA"},
	{"g5g.xlarge", "arm64", 4, 8192, 1, 15360, "T4g", "NVIDIA"},
	{"g6.xlarge", "x86_64", 4, 16384, 1, 22888, "L4", "NVIDIA"},
	{"g6.2xlarge", "x86_64", 8, 32768, 1, 22888, "L4", "NVIDIA"},
	{"g6.12xlarge", "x86_64", 48, 196608, 4, 22888, "L4", "NVIDIA"},
	{"g6e.xlarge", "x86_64", 4, 32768, 1, 45776, "L40S", "NVIDIA"},
	{"p2.xlarge", "x86_64", 4, 62464, 1, 12288, "K80", "NVIDIA"},
	{"p2.8xlarge", "x86_64", 32, 499712, 8, 12288, "K80", "NVIDIA"},
	{"p2.16xlarge", "x86_64", 64, 749568, 16, 12288, "K80", "NVIDIA"},
	{"p3.2xlarge", "x86_64", 8, 62464, 1, 16384, "V100", "NVIDIA"},
	{"p3.8xlarge", "x86_64", 32, 249856, 4, 16384, "V100", "NVIDIA"},
	{"p3.16xlarge", "x86_64", 64, 499712, 8, 16384, "V100", "NVIDIA"},
	{"p4d.24xlarge", "x86_64", 96, 1179648, 8, 40960, "A100", "NVIDIA"},
	{"p5.48xlarge", "x86_64", 192, 2097152, 8, 81920, "H100", "NVIDIA"},
}

// FindType returns an instance type, or EC2's error for an unknown one.
func FindType(name string) (*Type, error) {
	for i := range Types {
		if Types[i].Name == name {
			return &Types[i], nil
		}
	}
	return nil, query.Errorf("InvalidParameterValue", "Invalid value '%s' for InstanceType.", name)
}

// OfferedIn reports whether a zone offers the type. Like in AWS, not every zone has
// GPUs: each GPU type is missing in one zone, never the first.
func (t *Type) OfferedIn(zone string) bool {
	if t.GPUs == 0 {
		return true
	}
	missing := "bc"[len(t.Name)%2]
	return zone[len(zone)-1] != missing
}

// Family returns the instance family, such as g5.
func (t *Type) Family() string { f, _, _ := strings.Cut(t.Name, "."); return f }

// TypeInfo is an instance type in the response of DescribeInstanceTypes.
type TypeInfo struct {
	Name       string            `xml:"instanceType"`
	Current    bool              `xml:"currentGeneration"`
	Free       bool              `xml:"freeTierEligible"`
	Usage      query.Set[string] `xml:"supportedUsageClasses"`
	Root       query.Set[string] `xml:"supportedRootDeviceTypes"`
	Virt       query.Set[string] `xml:"supportedVirtualizationTypes"`
	Metal      bool              `xml:"bareMetal"`
	Hypervisor string            `xml:"hypervisor,omitempty"`
	Processor  struct {
		Archs query.Set[string] `xml:"supportedArchitectures"`
	} `xml:"processorInfo"`
	VCpu struct {
		CPUs    int `xml:"defaultVCpus"`
		Cores   int `xml:"defaultCores"`
		Threads int `xml:"defaultThreadsPerCore"`
	} `xml:"vCpuInfo"`
	Memory struct {
		MiB int `xml:"sizeInMiB"`
	} `xml:"memoryInfo"`
	Storage bool `xml:"instanceStorageSupported"`
	Ebs     struct {
		Optimized  string `xml:"ebsOptimizedSupport"`
		Encryption string `xml:"encryptionSupport"`
		Nvme       string `xml:"nvmeSupport"`
	} `xml:"ebsInfo"`
	Network struct {
		Cards int    `xml:"maximumNetworkInterfaces"`
		IPv4  int    `xml:"ipv4AddressesPerInterface"`
		Ena   string `xml:"enaSupport"`
	} `xml:"networkInfo"`
	Gpu       *GPUInfo          `xml:"gpuInfo"`
	Hibernate bool              `xml:"hibernationSupported"`
	Burst     bool              `xml:"burstablePerformanceSupported"`
	Dedicated bool              `xml:"dedicatedHostsSupported"`
	Recovery  bool              `xml:"autoRecoverySupported"`
	Boot      query.Set[string] `xml:"supportedBootModes"`
}

// GPUInfo contains the GPUs of a TypeInfo.
type GPUInfo struct {
	Gpus  query.Set[GPUDevice] `xml:"gpus"`
	Total int                  `xml:"totalGpuMemoryInMiB"`
}

// GPUDevice is one model of GPU.
type GPUDevice struct {
	Name   string `xml:"name"`
	Maker  string `xml:"manufacturer"`
	Count  int    `xml:"count"`
	Memory struct {
		MiB int `xml:"sizeInMiB"`
	} `xml:"memoryInfo"`
}

// CPUOptions are the cores and threads of an instance.
type CPUOptions struct {
	Cores   int `xml:"coreCount"`
	Threads int `xml:"threadsPerCore"`
}

// Cores returns the default cores and threads.
func (t *Type) Cores() CPUOptions {
	if t.Arch == "arm64" || t.CPUs == 1 {
		return CPUOptions{t.CPUs, 1}
	}
	return CPUOptions{t.CPUs / 2, 2}
}

// Info returns the type's element of DescribeInstanceTypes.
func (t *Type) Info() TypeInfo {
	old := map[string]bool{"m1": true, "t2": true, "g3": true, "g3s": true, "p2": true, "p3": true}[t.Family()]
	i := TypeInfo{
		Name: t.Name, Current: !old, Free: t.Name == "t3.micro", Usage: query.SetOf("on-demand", "spot"), Root: query.SetOf("ebs"),
		Virt: query.SetOf("hvm"), Metal: strings.HasSuffix(t.Name, ".metal"), Hypervisor: "nitro", Burst: t.Name[0] == 't', Dedicated: t.Name[0] != 't',
		Storage: t.Family() == "g4dn" || t.Family() == "g5", Boot: query.SetOf("legacy-bios", "uefi"),
	}
	if old {
		i.Hypervisor = "xen"
	}
	if i.Metal {
		i.Hypervisor = ""
	}
	if t.Arch == "arm64" {
		i.Boot = query.SetOf("uefi")
	}
	i.Processor.Archs = query.SetOf(t.Arch)
	cores := t.Cores()
	i.VCpu.CPUs, i.VCpu.Cores, i.VCpu.Threads = t.CPUs, cores.Cores, cores.Threads
	i.Memory.MiB = t.Memory
	i.Ebs.Optimized, i.Ebs.Encryption, i.Ebs.Nvme = "default", "supported", "required"
	i.Network.Cards, i.Network.IPv4, i.Network.Ena = 4, 15, "required"
	if t.GPUs > 0 {
		d := GPUDevice{Name: t.GPU, Maker: t.GPUMaker, Count: t.GPUs}
		d.Memory.MiB = t.GPUMiB
		i.Gpu = &GPUInfo{query.SetOf(d), t.GPUs * t.GPUMiB}
	}
	return i
}
