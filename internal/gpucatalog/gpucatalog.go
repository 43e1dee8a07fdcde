// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package gpucatalog knows EC2's instance types with NVIDIA GPUs: which GPU, how
// many, how fast its memory is, and what driver it takes. It is pure data;
// tools/gpu-catalog compares it with what EC2 says.
package gpucatalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// GPU is a model, or what EC2 gives of one.
type GPU struct {
	Name string
	// MemoryGB is its memory in GB as its maker counts.
	MemoryGB float64
	// BandwidthGBs is the memory's bandwidth by the data sheet, in 10^9 bytes a
	// second; it bounds the hash rate.
	BandwidthGBs float64
	// Compute is the compute capability without the point, "75" for 7.5
	// (https://developer.nvidia.com/cuda-gpus).
	Compute string
	// Proprietary: older than Turing, which the open kernel module does not know.
	Proprietary bool
	// LastBranch is the last branch of the driver that knows it; 0 while there
	// is none.
	LastBranch int
	// Refused says why it cannot be provisioned, "" if it can.
	Refused string
}

// The GPUs. Bandwidths are of NVIDIA's data sheets, but for those of the K80 and
// the M60, which are unchecked.
var (
	k80   = &GPU{Name: "K80", MemoryGB: 12, BandwidthGBs: 240, Compute: "37", Proprietary: true, LastBranch: 470, Refused: "its K80 needs the driver branch 470, which is past its end"}
	m60   = &GPU{Name: "M60", MemoryGB: 8, BandwidthGBs: 160, Compute: "52", Proprietary: true, LastBranch: 580, Refused: "its M60 is past supporting: CUDA 13 has dropped Maxwell"}
	v100  = &GPU{Name: "V100", MemoryGB: 16, BandwidthGBs: 900, Compute: "70", Proprietary: true, LastBranch: 580}
	v100n = &GPU{Name: "V100", MemoryGB: 32, BandwidthGBs: 900, Compute: "70", Proprietary: true, LastBranch: 580}
	t4    = &GPU{Name: "T4", MemoryGB: 16, BandwidthGBs: 320, Compute: "75"}
	t4g   = &GPU{Name: "T4g", MemoryGB: 16, BandwidthGBs: 320, Compute: "75"}
	a10g  = &GPU{Name: "A10G", MemoryGB: 24, BandwidthGBs: 600, Compute: "86"}
	l4    = &GPU{Name: "L4", MemoryGB: 24, BandwidthGBs: 300, Compute: "89"}
	l4f   = &GPU{Name: "L4", MemoryGB: 24, BandwidthGBs: 300, Compute: "89", Refused: "a fraction of a GPU needs NVIDIA's GRID driver"}
	l40s  = &GPU{Name: "L40S", MemoryGB: 48, BandwidthGBs: 864, Compute: "89"}
	a100  = &GPU{Name: "A100", MemoryGB: 40, BandwidthGBs: 1555, Compute: "80"}
	a100e = &GPU{Name: "A100", MemoryGB: 80, BandwidthGBs: 2039, Compute: "80"}
	h100  = &GPU{Name: "H100", MemoryGB: 80, BandwidthGBs: 3350, Compute: "90"}
	h200  = &GPU{Name: "H200", MemoryGB: 141, BandwidthGBs: 4800, Compute: "90"}
	rtx   = &GPU{Name: "RTX PRO Server 6000", MemoryGB: 96, BandwidthGBs: 1597, Compute: "120"}
	b200  = &GPU{Name: "B200", MemoryGB: 192, BandwidthGBs: 8000, Compute: "100"}
)

// family is EC2's: one GPU, in sizes.
type family struct {
	gpu *GPU
	// several are the sizes with more than one GPU.
	several map[string]int
	// all is the number in each size that several does not name; 0 is 1.
	all int
	// publishedMhs is a rate that users have published for one GPU, at a DAG of
	// about 4.5 GiB, in 2021 and 2022 (mludvig/aws-ethereum-miner); 0 for none.
	publishedMhs float64
}

// families, by their names
// (https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html).
var families = map[string]family{
	"p2":      {gpu: k80, several: map[string]int{"8xlarge": 8, "16xlarge": 16}},
	"g3":      {gpu: m60, several: map[string]int{"8xlarge": 2, "16xlarge": 4}},
	"g3s":     {gpu: m60},
	"p3":      {gpu: v100, several: map[string]int{"8xlarge": 4, "16xlarge": 8}, publishedMhs: 93},
	"p3dn":    {gpu: v100n, all: 8, publishedMhs: 86.5},
	"g4dn":    {gpu: t4, several: map[string]int{"12xlarge": 4, "metal": 8}, publishedMhs: 25},
	"g5g":     {gpu: t4g, several: map[string]int{"16xlarge": 2, "metal": 2}, publishedMhs: 25},
	"g5":      {gpu: a10g, several: map[string]int{"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}, publishedMhs: 56},
	"g6":      {gpu: l4, several: map[string]int{"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}},
	"g6e":     {gpu: l40s, several: map[string]int{"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}},
	"gr6":     {gpu: l4},
	"g6f":     {gpu: l4f},
	"gr6f":    {gpu: l4f},
	"g7e":     {gpu: rtx, several: map[string]int{"12xlarge": 2, "24xlarge": 4, "48xlarge": 8}},
	"p4d":     {gpu: a100, all: 8, publishedMhs: 175},
	"p4de":    {gpu: a100e, all: 8},
	"p5":      {gpu: h100, several: map[string]int{"48xlarge": 8}},
	"p5e":     {gpu: h200, all: 8},
	"p5en":    {gpu: h200, all: 8},
	"p6-b200": {gpu: b200, all: 8},
}

// nvswitch are the families whose GPUs hang on switches, where there are eight:
// these need the fabric manager.
var nvswitch = map[string]bool{"p4d": true, "p4de": true, "p5": true, "p5e": true, "p5en": true, "p6-b200": true}

// Entry is what is known of an instance type, or of a family.
type Entry struct {
	GPU
	// Count is how many GPUs the type has; 0 for a family.
	Count int
	// FabricManager: the GPUs hang on NVSwitch; without NVIDIA's fabric manager
	// CUDA answers error 802, though nvidia-smi looks fine.
	FabricManager bool
	// PublishedMhs is a rate of one GPU that users have published, a hint from
	// 2021 and 2022 at a DAG of 4.5 GiB; 0 where there is none.
	PublishedMhs float64
}

// Lookup returns what is known of an instance type such as "g4dn.xlarge", or of
// a family such as "g4dn". Its error names what it knows.
func Lookup(instanceType string) (Entry, error) {
	name, size, sized := strings.Cut(instanceType, ".")
	f, ok := families[name]
	if !ok {
		return Entry{}, fmt.Errorf("instance type %q: no GPU type that is known here; expected one of %s", instanceType, strings.Join(Families(), ", "))
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
