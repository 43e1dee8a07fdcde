// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"fmt"
	"math"
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// weightUnit is the hash rate of the weight 1, in hashes per second, and maxWeight the
// maximum weight of Auto Scaling: instances with eight GPUs exceed 999 Mh/s
// (https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplateOverrides.html).
const (
	weightUnit = 10e6
	maxWeight  = 999
)

// weigh sets the weights of the map of instance types in the template, all or none, and
// in an existing output (nil without one): else they would differ in more than images. It
// leaves an output that it cannot edit to Update. It returns the changes of the file that
// is written.
func (p *PostProcessor) weigh(template, output []byte, build artifact.Report) (newTemplate, newOutput []byte, changes []cfntemplate.Change, err error) {
	newTemplate, changes, err = p.setWeights(p.config.Template, template, build)
	if err != nil || output == nil {
		return newTemplate, output, changes, err
	}
	if edited, inOutput, err := p.setWeights(p.config.Target(), output, build); err == nil {
		return newTemplate, edited, inOutput, nil
	}
	return newTemplate, output, changes, nil
}

// setWeights sets the weights in one file, and changes nothing else.
func (p *PostProcessor) setWeights(name string, src []byte, build artifact.Report) ([]byte, []cfntemplate.Change, error) {
	t, err := cfntemplate.Parse(name, src)
	if err != nil {
		return nil, nil, err
	}
	m, err := t.Mapping(p.config.Weights)
	if err != nil {
		return nil, nil, err
	}
	edits, err := weights(m, build)
	if err != nil {
		return nil, nil, fmt.Errorf("weights: %s:%d:%d: %w", name, m.Line, m.Column, err)
	}
	return t.Apply(p.config.Weights, edits...)
}

// weights returns the weights of all rows with the build's GPU model. The rate of an
// instance type other than the build's is estimated from the number of GPUs.
func weights(m *cfntemplate.Mapping, build artifact.Report) ([]cfntemplate.Edit, error) {
	benchmark, err := miner.DecodeReport(build.Benchmark)
	if err != nil {
		return nil, err
	}
	measured, err := gpucatalog.Lookup(build.InstanceType)
	if err != nil {
		return nil, err
	}
	rate := float64(benchmark.Hashrate) / float64(max(1, measured.Count)) // of one GPU
	var edits []cfntemplate.Edit
	for _, row := range m.Rows {
		e, err := gpucatalog.Lookup(row.Region)
		if err != nil {
			return nil, err
		}
		if e.Name != measured.Name {
			continue
		}
		weight := max(1, int(math.Round(rate*float64(max(1, e.Count))/weightUnit)))
		if weight > maxWeight {
			return nil, fmt.Errorf("%s: got weight %d for %s, want at most %d", row.Region, weight, benchmark.Hashrate, maxWeight)
		}
		source := "estimated"
		if row.Region == build.InstanceType {
			source = "measured"
		}
		edits = append(edits, cfntemplate.Edit{Region: row.Region, Attribute: "Weight", Value: strconv.Itoa(weight)},
			cfntemplate.Edit{Region: row.Region, Attribute: "Source", Value: source})
	}
	if len(edits) == 0 {
		return nil, fmt.Errorf("%s has no row for an instance type with the build's GPU, %s; add one, such as %s", m.Name, measured.Name, build.InstanceType)
	}
	return edits, nil
}
