// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type DatasourceOutput,Offer

package instance

import (
	"math"

	"github.com/eth-mining/packer-plugin-ethminer/internal/gpuoffers"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// DatasourceOutput is the output of the data source.
type DatasourceOutput struct {
	// The names of the selected types, in the order of `sort_by`, for
	// `instance_types` of the builder.
	InstanceTypes []string `mapstructure:"instance_types"`
	// The selected types in the same order, as objects; see below.
	Offers []Offer `mapstructure:"offers"`
	// What is unknown, such as prices that the credentials may not read, and
	// which reports are ignored. Empty if there is nothing to note.
	Notes []string `mapstructure:"notes"`
}

// Offer is an instance type that the region offers. Numbers that are unknown are null.
type Offer struct {
	// The instance type, such as `g4dn.xlarge`.
	InstanceType string `mapstructure:"instance_type"`
	// The architecture: `x86_64` or `arm64`.
	Architecture string `mapstructure:"architecture"`
	// The number of vCPUs, which count against the account's quota.
	VCPUs int `mapstructure:"vcpus"`
	// The name of the GPU model, such as `T4`.
	GPU string `mapstructure:"gpu"`
	// The number of GPUs.
	GPUCount int `mapstructure:"gpu_count"`
	// The memory of each GPU in GiB.
	GPUMemoryGiB float64 `mapstructure:"gpu_memory_gib"`
	// The memory bandwidth of each GPU by its data sheet, in 10^9 bytes per
	// second.
	GPUBandwidthGBs float64 `mapstructure:"gpu_bandwidth_gbs"`
	// The compute capability of the GPUs, such as `7.5`.
	ComputeCapability string `mapstructure:"compute_capability"`
	// The availability zones of the region that offer the type.
	AvailabilityZones []string `mapstructure:"availability_zones"`
	// The hash rate that the memory bandwidth of all GPUs allows, in Mh/s. A
	// hash reads 8192 bytes.
	LimitMhs float64 `mapstructure:"limit_mhs"`
	// The expected hash rate of all GPUs in Mh/s.
	HashrateMhs float64 `mapstructure:"hashrate_mhs"`
	// Where the expected rate is from. It begins with `measured`, for a rate of
	// `reports`, or with `estimate`.
	HashrateSource string `mapstructure:"hashrate_source"`
	// The on-demand price in US dollars per hour.
	OnDemandUSD *float64 `mapstructure:"on_demand_usd"`
	// The current spot price of the cheapest zone in US dollars per hour.
	SpotUSD *float64 `mapstructure:"spot_usd"`
	// The zone with that price; empty if the price is unknown.
	SpotZone string `mapstructure:"spot_zone"`
	// The expected hash rate in Mh/s for each US dollar per hour, in the market
	// of `market`.
	MhsPerUSD *float64 `mapstructure:"mhs_per_usd"`
}

// output returns the output for offers.
func output(found gpuoffers.Found, market string) DatasourceOutput {
	o := DatasourceOutput{InstanceTypes: []string{}, Offers: []Offer{}, Notes: []string{}}
	o.Notes = append(o.Notes, found.Notes...)
	for _, f := range found.Offers {
		o.InstanceTypes = append(o.InstanceTypes, f.Type)
		offer := Offer{
			InstanceType: f.Type, Architecture: f.Architecture, VCPUs: f.VCPUs,
			GPU: f.GPU.Name, GPUCount: f.GPUs, GPUMemoryGiB: round(float64(f.MemoryMiB) / 1024), GPUBandwidthGBs: f.GPU.BandwidthGBs,
			ComputeCapability: gpuoffers.Compute(f.GPU), AvailabilityZones: f.Zones,
			LimitMhs: mhs(f.Limit), HashrateMhs: mhs(f.Rate), HashrateSource: f.RateSource,
			OnDemandUSD: known(f.OnDemand), SpotUSD: known(f.Price(gpuoffers.Spot)), SpotZone: f.SpotZone(),
			MhsPerUSD: known(mhs(f.RatePerDollar(market))),
		}
		o.Offers = append(o.Offers, offer)
	}
	return o
}

// mhs returns a rate in Mh/s, rounded to two decimal places.
func mhs(r miner.Rate) float64 { return round(float64(r) / 1e6) }

func round(v float64) float64 { return math.Round(v*100) / 100 }

// known returns nil, which is null in HCL, for 0.
func known(v float64) *float64 {
	if v == 0 {
		return nil
	}
	return &v
}
