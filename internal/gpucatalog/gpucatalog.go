// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package gpucatalog lists EC2's instance types with NVIDIA GPUs: model and number of
// GPUs, memory bandwidth and driver. It is data only; tools/gpu-catalog compares it
// with EC2's API.
package gpucatalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// GPU is a GPU model, or the fraction of one that EC2 offers.
type GPU struct {
	Name string
	// MemoryGB is the memory size as NVIDIA states it.
	MemoryGB float64
	// Words are words of the driver's name that together identify the GPU.
	Words string
	// BandwidthGBs is the memory bandwidth by the data sheet, in 10^9 bytes per
	// second; it limits the hash rate.
	BandwidthGBs float64
	// CacheMB is the size of the L2 cache in 10^6 bytes: the cached part of a DAG is
	// not read from memory.
	CacheMB float64
	// Compute is the compute capability without the dot, "75" for 7.5
	// (https://developer.nvidia.com/cuda-gpus).
	Compute string
	// Proprietary is true for GPUs older than Turing, which the open kernel module
	// does not support.
	Proprietary bool
	// LastBranch is the last driver branch that supports it; 0 if current branches
	// do.
	LastBranch int
	// Refused is the reason why it is not supported, or "".
	Refused string
}

// The GPUs. Bandwidths and caches are from NVIDIA's data sheets and architecture
// papers, except those of the K80 and M60, which are unverified.
var (
	k80     = &GPU{Name: "K80", Words: "K80", MemoryGB: 12, BandwidthGBs: 240, CacheMB: 1.5, Compute: "37", Proprietary: true, LastBranch: 470, Refused: "its K80 requires driver branch 470, which is no longer supported"}
	m60     = &GPU{Name: "M60", Words: "M60", MemoryGB: 8, BandwidthGBs: 160, CacheMB: 2, Compute: "52", Proprietary: true, LastBranch: 580, Refused: "its M60 is no longer supported: CUDA 13 dropped Maxwell"}
	v100    = &GPU{Name: "V100", Words: "V100", MemoryGB: 16, BandwidthGBs: 900, CacheMB: 6, Compute: "70", Proprietary: true, LastBranch: 580}
	v100n   = &GPU{Name: "V100", Words: "V100 32GB", MemoryGB: 32, BandwidthGBs: 900, CacheMB: 6, Compute: "70", Proprietary: true, LastBranch: 580}
	t4      = &GPU{Name: "T4", Words: "T4", MemoryGB: 16, BandwidthGBs: 320, CacheMB: 4, Compute: "75"}
	t4g     = &GPU{Name: "T4g", Words: "T4G", MemoryGB: 16, BandwidthGBs: 320, CacheMB: 4, Compute: "75"}
	a10g    = &GPU{Name: "A10G", Words: "A10G", MemoryGB: 24, BandwidthGBs: 600, CacheMB: 6, Compute: "86"}
	l4      = &GPU{Name: "L4", Words: "L4", MemoryGB: 24, BandwidthGBs: 300, CacheMB: 48, Compute: "89"}
	l4f     = &GPU{Name: "L4", MemoryGB: 24, BandwidthGBs: 300, CacheMB: 48, Compute: "89", Refused: "a fraction of a GPU requires NVIDIA's GRID driver"}
	l40s    = &GPU{Name: "L40S", Words: "L40S", MemoryGB: 48, BandwidthGBs: 864, CacheMB: 96, Compute: "89"}
	a100    = &GPU{Name: "A100", Words: "A100 40GB", MemoryGB: 40, BandwidthGBs: 1555, CacheMB: 40, Compute: "80"}
	a100e   = &GPU{Name: "A100", Words: "A100 80GB SXM4", MemoryGB: 80, BandwidthGBs: 2039, CacheMB: 40, Compute: "80"}
	h100    = &GPU{Name: "H100", Words: "H100 HBM3", MemoryGB: 80, BandwidthGBs: 3350, CacheMB: 50, Compute: "90"}
	h200    = &GPU{Name: "H200", Words: "H200", MemoryGB: 141, BandwidthGBs: 4800, CacheMB: 50, Compute: "90"}
	rtx6000 = &GPU{Name: "RTX PRO Server 6000", Words: "RTX PRO 6000 Server", MemoryGB: 96, BandwidthGBs: 1597, CacheMB: 128, Compute: "120"}
	// The workstation card of this name has 896 GB/s.
	rtx4500 = &GPU{Name: "RTX PRO Server 4500", Words: "RTX PRO 4500 Server", MemoryGB: 32, BandwidthGBs: 800, CacheMB: 64, Compute: "120"}
	b200    = &GPU{Name: "B200", Words: "B200", MemoryGB: 180, BandwidthGBs: 8000, CacheMB: 126, Compute: "100"}
	b300    = &GPU{Name: "B300", Words: "B300", MemoryGB: 268, BandwidthGBs: 8000, CacheMB: 126, Compute: "103"}
)

// known lists the GPUs that ByName finds.
var known = []*GPU{k80, m60, v100, v100n, t4, t4g, a10g, l4, l40s, a100, a100e, h100, h200, rtx6000, rtx4500, b200, b300}

// ByName returns a GPU by the name that nvidia-smi prints, such as "Tesla T4" or
// "NVIDIA A100-SXM4-80GB". ok is false if it is unknown.
func ByName(name string) (gpu GPU, ok bool) {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '-' })
	most := 0
	for _, g := range known {
		wanted := strings.Fields(g.Words)
		all := !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(words, w) })
		if all && len(wanted) > most { // the longest match wins
			gpu, ok, most = *g, true, len(wanted)
		}
	}
	return gpu, ok
}

// family is an EC2 instance family: one GPU model, in several sizes.
type family struct {
	gpu *GPU
	// several maps sizes to their number of GPUs, if more than one.
	several map[string]int
	// all is the number of GPUs in all other sizes; 0 means 1.
	all int
	// publishedMhs is a rate that users published for one GPU, at a DAG of about
	// 4.5 GiB, in 2021 and 2022 (mludvig/aws-ethereum-miner); 0 if unknown.
	publishedMhs float64
}

// families maps family names to families
// (https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html).
var families = map[string]family{
	"p2":   {gpu: k80, several: map[string]int{"8xlarge": 8, "16xlarge": 16}},
	"g3":   {gpu: m60, several: map[string]int{"8xlarge": 2, "16xlarge": 4}},
	"g3s":  {gpu: m60},
	"p3":   {gpu: v100, several: map[string]int{"8xlarge": 4, "16xlarge": 8}, publishedMhs: 93},
	"p3dn": {gpu: v100n, all: 8, publishedMhs: 86.5},
	"g4dn": {gpu: t4, several: map[string]int{"12xlarge": 4, "metal": 8}, publishedMhs: 25},
	"g5g":  {gpu: t4g, several: map[string]int{"16xlarge": 2, "metal": 2}, publishedMhs: 25},
	"g5":   {gpu: a10g, several: map[string]int{"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}, publishedMhs: 56},
	"g6":   {gpu: l4, several: map[string]int{"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}},
	"g6e":  {gpu: l40s, several: map[string]int{"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}},
	"gr6":  {gpu: l4},
	"g6f":  {gpu: l4f},
	"gr6f": {gpu: l4f},
	// The numbers of g7 are unverified; measurements use the driver's count.
	"g7":      {gpu: rtx4500, several: map[string]int{"12xlarge": 2, "24xlarge": 4, "48xlarge": 8}},
	"g7e":     {gpu: rtx6000, several: map[string]int{"12xlarge": 2, "24xlarge": 4, "48xlarge": 8}},
	"p4d":     {gpu: a100, all: 8, publishedMhs: 175},
	"p4de":    {gpu: a100e, all: 8},
	"p5":      {gpu: h100, several: map[string]int{"48xlarge": 8}},
	"p5e":     {gpu: h200, all: 8},
	"p5en":    {gpu: h200, all: 8},
	"p6-b200": {gpu: b200, all: 8},
	"p6-b300": {gpu: b300, all: 8},
}

// nvswitch lists the families whose sizes with eight GPUs use NVSwitch and thus
// require the fabric manager.
var nvswitch = map[string]bool{"p4d": true, "p4de": true, "p5": true, "p5e": true, "p5en": true, "p6-b200": true, "p6-b300": true}

// Entry describes an instance type or a family.
type Entry struct {
	GPU
	// Count is the number of GPUs; 0 for a family.
	Count int
	// FabricManager is true if the GPUs use NVSwitch. Without NVIDIA's fabric
	// manager CUDA fails with error 802, although nvidia-smi works.
	FabricManager bool
	// PublishedMhs is a rate of one GPU that users published in 2021 and 2022, at a
	// DAG of 4.5 GiB; 0 if unknown.
	PublishedMhs float64
}

// Lookup returns the entry of an instance type such as "g4dn.xlarge", or of a family
// such as "g4dn". The error lists the known families.
func Lookup(instanceType string) (Entry, error) {
	name, size, sized := strings.Cut(instanceType, ".")
	f, ok := families[name]
	if !ok {
		return Entry{}, fmt.Errorf("instance type %q: not a known GPU instance type; expected one of %s", instanceType, strings.Join(Families(), ", "))
	}
	e := Entry{GPU: *f.gpu, PublishedMhs: f.publishedMhs, FabricManager: nvswitch[name]}
	if sized {
		e.Count = max(f.all, f.several[size], 1)
		e.FabricManager = e.FabricManager && e.Count > 1 // p5.4xlarge has one GPU and no switch
	}
	return e, nil
}

// Families returns the names of all families, sorted.
func Families() []string { return slices.Sorted(maps.Keys(families)) }
