// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package instance implements the data source ethminer-instance, which lists the GPU
// instance types of a region with their expected hash rates and prices. internal/gpuoffers
// finds them.
package instance

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/packer-plugin-sdk/hcl2helper"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/zclconf/go-cty/cty"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/gpuoffers"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// Datasource implements the data source component.
type Datasource struct {
	config Config
}

var _ packersdk.Datasource = (*Datasource)(nil)

// ConfigSpec returns the HCL2 schema of the data block.
func (d *Datasource) ConfigSpec() hcldec.ObjectSpec { return d.config.FlatMapstructure().HCL2Spec() }

// OutputSpec returns the HCL2 schema of the output.
func (d *Datasource) OutputSpec() hcldec.ObjectSpec {
	return (&DatasourceOutput{}).FlatMapstructure().HCL2Spec()
}

// Configure checks the configuration.
func (d *Datasource) Configure(raws ...any) error { return d.config.prepare(raws...) }

// Timeouts of the data source, and of one attempt of its requests.
const (
	patience = 2 * time.Minute
	attempt  = 8 * time.Second
)

// Execute lists the instance types.
func (d *Datasource) Execute() (cty.Value, error) {
	ctx, cancel := clock.WithTimeout(awsclient.WithAttemptTimeout(context.Background(), attempt), patience)
	defer cancel()
	found, err := d.find(ctx)
	if err != nil { // the SDK cannot encode cty.NilVal
		return cty.NullVal(cty.EmptyObject), fmt.Errorf("ethminer-instance: %w", err)
	}
	return hcl2helper.HCL2ValueFromConfig(output(found, d.config.Market), d.OutputSpec()), nil
}

func (d *Datasource) find(ctx context.Context) (gpuoffers.Found, error) {
	c := &d.config
	clients, err := d.connect(ctx)
	if err != nil {
		return gpuoffers.Found{}, err
	}
	source := gpuoffers.Source{Region: clients.Region(), EC2: clients.EC2(clients.Region()), Given: c.prices, Measured: c.measured}
	if list := clients.Pricing(); list != nil {
		source.List = list
	}
	found, err := source.Find(ctx, c.wanted())
	if err != nil {
		return gpuoffers.Found{}, err
	}
	gpuoffers.Sort(found.Offers, c.SortBy, c.Market)
	found.Notes = append(found.Notes, c.ignored...)
	if c.Rehearsal {
		found.Notes = append(found.Notes, "this is a rehearsal: offers and prices are simulated")
	}
	for _, note := range found.Notes { // a data source cannot print
		log.Printf("[INFO] %s", note)
	}
	return found, nil
}

// connect returns the clients of the account. A rehearsal needs no server of its own: the
// offers and prices are the same in each, and `packer validate` must not start one.
func (d *Datasource) connect(ctx context.Context) (*awsclient.Clients, error) {
	c := &d.config
	if c.Rehearsal {
		return awsclient.New(rehearsal.New(rehearsal.Config{Policy: c.policy}).AWSConfig(c.RawRegion), ""), nil
	}
	return awsclient.Connect(ctx, &c.AccessConfig, "", func(line string) { log.Printf("[INFO] %s", line) })
}
