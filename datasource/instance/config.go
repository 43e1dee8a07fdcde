// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config

package instance

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/packer-plugin-sdk/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"

	awscommon "github.com/hashicorp/packer-plugin-amazon/common"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/gpuoffers"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hcldecode"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/redact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// Config holds the options of a `data "ethminer-instance"` block. It also has the
// access options of `amazon-ebs`.
type Config struct {
	common.PackerConfig    `mapstructure:",squash"`
	awsclient.AccessConfig `mapstructure:",squash"`

	// The architecture of the types: `x86_64` or `arm64`. All types of a build
	// need the same one, as they launch the same image. Default `x86_64`.
	Architecture string `mapstructure:"architecture" required:"false"`
	// The names of the GPU models to choose from, such as `["T4", "A10G"]`. By
	// default all GPUs that the plugin supports.
	GPUs []string `mapstructure:"gpus" required:"false"`
	// The compute capabilities of the GPUs to choose from, such as `["7.5",
	// "8.6"]`. A miner runs only on those that it was built for, by default
	// that of the build's instance. By default all.
	ComputeCapabilities []string `mapstructure:"compute_capabilities" required:"false"`
	// The maximum number of GPUs of a type. One GPU is enough to build an image.
	// Default `0`: no limit.
	MaxGPUs int `mapstructure:"max_gpus" required:"false"`
	// The coin, as in the provisioner `ethminer-gpu`: `etc`, `ethw` or `custom`.
	// It decides the size of the DAG, which must fit into the memory of each
	// GPU. Default `custom`.
	Coin string `mapstructure:"coin" required:"false"`
	// The block whose DAG must fit, as in the provisioner `ethminer-gpu`.
	// Default: an estimate of the coin's chain at the end of 2026.
	BenchmarkBlock int `mapstructure:"benchmark_block" required:"false"`
	// The market whose price counts: `on-demand` or `spot`. The spot price of a
	// type is that of its cheapest zone. Default `on-demand`.
	Market string `mapstructure:"market" required:"false"`
	// The maximum price per hour in that market, in US dollars. Types with a
	// higher or an unknown price are left out. Default `0`: no limit.
	MaxPricePerHour float64 `mapstructure:"max_price_per_hour" required:"false"`
	// The order of the types: `rate_per_dollar` (the highest hash rate for the
	// price first), `rate` (the highest hash rate first) or `price` (the lowest
	// price first). Types with an unknown price follow the others if the price
	// decides. Default `rate_per_dollar`.
	SortBy string `mapstructure:"sort_by" required:"false"`
	// On-demand prices of instance types in US dollars per hour, such as
	// `{ "g4dn.xlarge" = 0.526 }`, as in the builder. Default: AWS's price list.
	Prices map[string]string `mapstructure:"prices" required:"false"`
	// Reports of earlier builds (the JSON files of the post-processor
	// `ethminer-report`), as paths or patterns such as `reports/*.json`. A pattern
	// may match no file. Their benchmarks replace the estimated rates of their
	// instance type and, by the number of GPUs, of other types with the same GPU.
	// The newest one of a type counts. A report of a rehearsal, of the reference
	// miner or of a failed benchmark is ignored, and listed in `notes`. Default:
	// estimates only.
	Reports []string `mapstructure:"reports" required:"false"`

	// Uses an AWS simulator inside the plugin instead of a real account. No
	// credentials are read or sent, and no request leaves the plugin. The prices
	// are invented. Default `false`.
	Rehearsal bool `mapstructure:"rehearsal" required:"false"`
	// The path of an IAM policy in JSON, which a rehearsal enforces, as in the
	// builder. By default all actions are allowed.
	RehearsalPolicy string `mapstructure:"rehearsal_policy" required:"false"`

	prices   map[string]float64
	measured []gpuoffers.Measurement
	ignored  []string // notes on reports
	policy   *policy.Document
}

// maxBlock is the greatest benchmark_block, as in the provisioner.
const maxBlock = 1 << 31

// prepare decodes and checks the configuration. It makes no requests to AWS.
func (c *Config) prepare(raws ...any) error {
	*c = Config{}
	mistakes, err := hcldecode.Decode(c, &config.DecodeOpts{PluginType: "ethminer-instance"}, raws...)
	if err != nil {
		return err
	}
	errs := packersdk.MultiErrorAppend(nil, mistakes...)
	fail := func(format string, args ...any) {
		errs = packersdk.MultiErrorAppend(errs, fmt.Errorf(format, args...))
	}
	c.checkChoices(fail)
	c.checkGPUs(fail)
	c.checkPrices(fail)
	c.readReports(fail)
	c.checkRehearsal(fail)
	errs = packersdk.MultiErrorAppend(errs, awsclient.Prepare(&c.AccessConfig, &c.PackerConfig)...)
	if len(errs.Errors) > 0 {
		return errs
	}
	redact.Add(c.SecretKey, c.Token)
	return nil
}

// checkChoices sets the defaults of options with fixed values, and checks them.
func (c *Config) checkChoices(fail func(string, ...any)) {
	var coins []string
	for _, coin := range miner.Coins {
		coins = append(coins, string(coin))
	}
	for _, option := range []struct {
		attribute string
		value     *string
		byDefault string
		allowed   []string
	}{
		{"architecture", &c.Architecture, "x86_64", []string{"x86_64", "arm64"}},
		{"market", &c.Market, gpuoffers.OnDemand, gpuoffers.Markets},
		{"sort_by", &c.SortBy, gpuoffers.ByRatePerDollar, gpuoffers.Orders},
		{"coin", &c.Coin, string(miner.Custom), coins},
	} {
		if *option.value == "" {
			*option.value = option.byDefault
		}
		if *option.value != hclvalue.Unknown && !slices.Contains(option.allowed, *option.value) {
			fail("%s: got %q, want one of %s", option.attribute, *option.value, strings.Join(option.allowed, ", "))
		}
	}
	if c.BenchmarkBlock < 0 || c.BenchmarkBlock > maxBlock {
		fail("benchmark_block: got %d, want a block number from 1 to %d", c.BenchmarkBlock, maxBlock)
	}
	if c.RawRegion != "" && c.RawRegion != hclvalue.Unknown {
		if err := region.Check("region", c.RawRegion); err != nil {
			fail("%w", err)
		}
	}
}

// checkGPUs checks the filters for GPUs against the catalog.
func (c *Config) checkGPUs(fail func(string, ...any)) {
	names, capabilities := map[string]bool{}, map[string]bool{}
	for _, family := range gpucatalog.Families() {
		if entry, err := gpucatalog.Lookup(family); err == nil && entry.Refused == "" {
			names[entry.Name], capabilities[gpuoffers.Compute(entry.GPU)] = true, true
		}
	}
	for _, filter := range []struct {
		attribute string
		values    []string
		known     map[string]bool
	}{{"gpus", c.GPUs, names}, {"compute_capabilities", c.ComputeCapabilities, capabilities}} {
		known := slices.Sorted(maps.Keys(filter.known))
		for i, value := range filter.values {
			if value != hclvalue.Unknown && !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, value) }) {
				fail("%s[%d]: got %q, want one of %s", filter.attribute, i, value, strings.Join(known, ", "))
			}
		}
	}
	if c.MaxGPUs < 0 {
		fail("max_gpus: got %d, want 0 (no limit) or more", c.MaxGPUs)
	}
}

func (c *Config) checkPrices(fail func(string, ...any)) {
	if c.MaxPricePerHour < 0 {
		fail("max_price_per_hour: got %g, want 0 (no limit) or more", c.MaxPricePerHour)
	}
	c.prices = map[string]float64{}
	for _, name := range slices.Sorted(maps.Keys(c.Prices)) {
		usd, err := strconv.ParseFloat(c.Prices[name], 64)
		switch {
		case c.Prices[name] == hclvalue.Unknown:
		case err != nil || !(usd > 0) || math.IsInf(usd, 0):
			fail("prices[%q]: got %q, want US dollars per hour, more than 0, such as 0.526", name, c.Prices[name])
		default:
			c.prices[name] = usd
		}
	}
}

// readReports reads the reports of earlier builds.
func (c *Config) readReports(fail func(string, ...any)) {
	for i, pattern := range c.Reports {
		files := []string{pattern}
		switch {
		case pattern == hclvalue.Unknown:
			continue
		case strings.ContainsAny(pattern, `*?[`):
			found, err := filepath.Glob(pattern)
			if err != nil {
				fail("reports[%d]: got %q, want a path or a pattern such as \"reports/*.json\": %w", i, pattern, err)
			}
			files = found
		}
		for _, file := range files {
			if err := c.readReport(file); err != nil {
				fail("reports[%d]: %w", i, err)
			}
		}
	}
}

func (c *Config) readReport(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var report artifact.Report
	if err := json.Unmarshal(text, &report); err != nil || report.BuildID == "" {
		return fmt.Errorf("%s is not the report of a build, want a JSON file of ethminer-report; remove it, or name the files more precisely", file)
	}
	m, err := gpuoffers.Measured(report)
	if err != nil {
		c.ignored = append(c.ignored, fmt.Sprintf("%s is ignored: %s", file, err))
		return nil
	}
	c.measured = append(c.measured, m)
	return nil
}

func (c *Config) checkRehearsal(fail func(string, ...any)) {
	if !c.Rehearsal {
		return
	}
	c.VaultAWSEngine = awscommon.VaultAWSEngineOptions{} // a rehearsal requests no credentials
	if c.RawRegion == "" {
		fail("region: not set, want a region such as \"eu-central-1\"; a rehearsal does not read AWS_REGION or a profile")
	}
	if c.RehearsalPolicy == "" || c.RehearsalPolicy == hclvalue.Unknown {
		return
	}
	text, err := os.ReadFile(c.RehearsalPolicy)
	if err != nil {
		fail("rehearsal_policy: %w", err)
		return
	}
	parsed, err := policy.Parse(text)
	if err != nil {
		fail("rehearsal_policy: %s: %w", c.RehearsalPolicy, err)
	}
	c.policy = parsed
}

// wanted returns the filters.
func (c *Config) wanted() gpuoffers.Wanted {
	coin, block := miner.Coin(c.Coin), uint64(c.BenchmarkBlock) //nolint:gosec // prepare refuses negative numbers
	if block == 0 {
		block = coin.PlausibleBlock()
	}
	return gpuoffers.Wanted{
		Architecture: c.Architecture, GPUs: c.GPUs, Compute: c.ComputeCapabilities, MaxGPUs: c.MaxGPUs,
		DAGBytes: miner.DatasetBytes(coin.Epoch(block)), Market: c.Market, MaxPrice: c.MaxPricePerHour,
	}
}
