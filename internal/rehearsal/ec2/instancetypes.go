// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"strconv"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// typeData is what is known of an instance type.
type typeData struct {
	name, arch    string
	cpus, memory  int // vCPUs, MiB
	gpus, gpuMiB  int // number of GPUs, memory of each in MiB
	gpu, gpuMaker string
}

// typeTable are the instance types that can be launched: those of the GPU
// families and a few others. The figures are those of AWS's documentation.
var typeTable = []typeData{
	{name: "m1.small", arch: "x86_64", cpus: 1, memory: 1740},
	{name: "t2.micro", arch: "x86_64", cpus: 1, memory: 1024},
	{name: "t3.micro", arch: "x86_64", cpus: 2, memory: 1024},
	{name: "t3.small", arch: "x86_64", cpus: 2, memory: 2048},
	{name: "t3.medium", arch: "x86_64", cpus: 2, memory: 4096},
	{name: "t3.large", arch: "x86_64", cpus: 2, memory: 8192},
	{name: "t3a.small", arch: "x86_64", cpus: 2, memory: 2048},
	{name: "t4g.micro", arch: "arm64", cpus: 2, memory: 1024},
	{name: "t4g.small", arch: "arm64", cpus: 2, memory: 2048},
	{name: "m5.large", arch: "x86_64", cpus: 2, memory: 8192},
	{name: "m5.xlarge", arch: "x86_64", cpus: 4, memory: 16384},
	{name: "m6i.large", arch: "x86_64", cpus: 2, memory: 8192},
	{name: "m7g.large", arch: "arm64", cpus: 2, memory: 8192},
	{name: "c5.large", arch: "x86_64", cpus: 2, memory: 4096},
	{name: "c5.xlarge", arch: "x86_64", cpus: 4, memory: 8192},
	{name: "c6i.xlarge", arch: "x86_64", cpus: 4, memory: 8192},
	{name: "c7g.large", arch: "arm64", cpus: 2, memory: 4096},
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

func findType(name string) (*typeData, error) {
	for i := range typeTable {
		if typeTable[i].name == name {
			return &typeTable[i], nil
		}
	}
	return nil, query.Errorf("InvalidParameterValue", "Invalid value '%s' for InstanceType.", name)
}

// offeredIn says whether a zone has the type. As in AWS, not every zone has
// GPUs: each GPU type is missing in one zone that is never the first one.
func (t *typeData) offeredIn(zone string) bool {
	if t.gpus == 0 {
		return true
	}
	missing := "bc"[len(t.name)%2]
	return zone[len(zone)-1] != missing
}

func (t *typeData) family() string { f, _, _ := strings.Cut(t.name, "."); return f }

type typeInfo struct {
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
	Gpu       *gpuInfo          `xml:"gpuInfo"`
	Hibernate bool              `xml:"hibernationSupported"`
	Burst     bool              `xml:"burstablePerformanceSupported"`
	Dedicated bool              `xml:"dedicatedHostsSupported"`
	Recovery  bool              `xml:"autoRecoverySupported"`
	Boot      query.Set[string] `xml:"supportedBootModes"`
}

type gpuInfo struct {
	Gpus  query.Set[gpuDevice] `xml:"gpus"`
	Total int                  `xml:"totalGpuMemoryInMiB"`
}

type gpuDevice struct {
	Name   string `xml:"name"`
	Maker  string `xml:"manufacturer"`
	Count  int    `xml:"count"`
	Memory struct {
		MiB int `xml:"sizeInMiB"`
	} `xml:"memoryInfo"`
}

// cpuOptions are an instance's vCPUs.
type cpuOptions struct {
	Cores   int `xml:"coreCount"`
	Threads int `xml:"threadsPerCore"`
}

func (t *typeData) cores() cpuOptions {
	if t.arch == "arm64" || t.cpus == 1 {
		return cpuOptions{t.cpus, 1}
	}
	return cpuOptions{t.cpus / 2, 2}
}

func (t *typeData) info() typeInfo {
	old := map[string]bool{"m1": true, "t2": true, "g3": true, "g3s": true, "p2": true, "p3": true}[t.family()]
	i := typeInfo{
		Name: t.name, Current: !old, Free: t.name == "t3.micro", Usage: query.SetOf("on-demand", "spot"), Root: query.SetOf("ebs"),
		Virt: query.SetOf("hvm"), Metal: strings.HasSuffix(t.name, ".metal"), Hypervisor: "nitro", Burst: t.name[0] == 't', Dedicated: t.name[0] != 't',
		Storage: t.family() == "g4dn" || t.family() == "g5", Boot: query.SetOf("legacy-bios", "uefi"),
	}
	if old {
		i.Hypervisor = "xen"
	}
	if i.Metal {
		i.Hypervisor = ""
	}
	if t.arch == "arm64" {
		i.Boot = query.SetOf("uefi")
	}
	i.Processor.Archs = query.SetOf(t.arch)
	cores := t.cores()
	i.VCpu.CPUs, i.VCpu.Cores, i.VCpu.Threads = t.cpus, cores.Cores, cores.Threads
	i.Memory.MiB = t.memory
	i.Ebs.Optimized, i.Ebs.Encryption, i.Ebs.Nvme = "default", "supported", "required"
	i.Network.Cards, i.Network.IPv4, i.Network.Ena = 4, 15, "required"
	if t.gpus > 0 {
		d := gpuDevice{Name: t.gpu, Maker: t.gpuMaker, Count: t.gpus}
		d.Memory.MiB = t.gpuMiB
		i.Gpu = &gpuInfo{query.SetOf(d), t.gpus * t.gpuMiB}
	}
	return i
}

func describeInstanceTypes(c *call) (any, error) {
	asked := c.p.List("InstanceType")
	for _, name := range asked {
		if _, err := findType(name); err != nil {
			return nil, query.Errorf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", name)
		}
	}
	var found []typeInfo
	for _, t := range typeTable {
		i := t.info()
		ok, err := c.matches(tagList{}, func(name string) ([]string, bool) {
			value, ok := map[string]string{
				"instance-type": t.name, "current-generation": strconv.FormatBool(i.Current), "processor-info.supported-architecture": t.arch,
				"vcpu-info.default-vcpus": strconv.Itoa(t.cpus), "memory-info.size-in-mib": strconv.Itoa(t.memory), "hypervisor": i.Hypervisor,
				"bare-metal": strconv.FormatBool(i.Metal), "free-tier-eligible": strconv.FormatBool(i.Free), "burstable-performance-supported": strconv.FormatBool(i.Burst),
				"instance-storage-supported": strconv.FormatBool(i.Storage), "network-info.ena-support": i.Network.Ena,
			}[name]
			switch name {
			case "supported-usage-class":
				return i.Usage.Items, true
			case "supported-root-device-type":
				return i.Root.Items, true
			case "supported-virtualization-type":
				return i.Virt.Items, true
			case "supported-boot-mode":
				return i.Boot.Items, true
			}
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && contains(asked, t.name) {
			found = append(found, i)
		}
	}
	set, next, err := page(c, found, 5)
	return struct {
		Types query.Set[typeInfo] `xml:"instanceTypeSet"`
		Next  string              `xml:"nextToken,omitempty"`
	}{set, next}, err
}

type offering struct {
	Type     string `xml:"instanceType"`
	Kind     string `xml:"locationType"`
	Location string `xml:"location"`
}

func describeInstanceTypeOfferings(c *call) (any, error) {
	kind := c.p.Or("LocationType", "region")
	var found []offering
	for _, t := range typeTable {
		var places []string
		switch kind {
		case "region":
			places = []string{c.r.name}
		case "availability-zone", "availability-zone-id":
			for _, z := range c.r.zones {
				if t.offeredIn(z.name) {
					places = append(places, map[bool]string{true: z.name, false: z.id}[kind == "availability-zone"])
				}
			}
		default:
			return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter LocationType is invalid.", kind)
		}
		for _, place := range places {
			ok, err := c.matches(tagList{}, func(name string) ([]string, bool) {
				value, ok := map[string]string{"instance-type": t.name, "location": place}[name]
				return []string{value}, ok
			})
			if err != nil {
				return nil, err
			}
			if ok {
				found = append(found, offering{t.name, kind, place})
			}
		}
	}
	set, next, err := page(c, found, 5)
	return struct {
		Offerings query.Set[offering] `xml:"instanceTypeOfferingSet"`
		Next      string              `xml:"nextToken,omitempty"`
	}{set, next}, err
}
