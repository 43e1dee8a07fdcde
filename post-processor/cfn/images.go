// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
)

// Keys of an artifact's State that the builder ethminer-ami fills.
const (
	stateRehearsal       = "ethminer.rehearsal"       // true: the images are those of a rehearsal
	stateRehearsalFolder = "ethminer.rehearsal_state" // its state folder
	stateBuild           = "ethminer.build"           // what the build did, as a JSON string
)

// build is the part of the JSON under stateBuild that is read here.
type build struct {
	Architecture string   `json:"architecture"` // as EC2 spells it: x86_64, arm64
	Regions      []string `json:"regions"`      // that the build was to reach
}

func buildOf(source packersdk.Artifact) build {
	var b build
	if s, ok := source.State(stateBuild).(string); ok {
		_ = json.Unmarshal([]byte(s), &b) // another builder's: as if it were not there
	}
	return b
}

func isRehearsal(source packersdk.Artifact) bool {
	switch v := source.State(stateRehearsal).(type) {
	case bool:
		return v
	case string:
		return v == "true"
	}
	return false
}

// refuseRehearsal keeps the images of a rehearsal, which no AWS knows, out of
// the template that stacks are made of.
func (p *PostProcessor) refuseRehearsal(source packersdk.Artifact) error {
	if !isRehearsal(source) {
		return nil
	}
	same, err := p.config.inPlace()
	if err != nil {
		return err
	}
	if same {
		return errors.New("these images are from a rehearsal, and output is the template itself; a rehearsal never edits a template in place: set output to another file")
	}
	return nil
}

// regionImages reads region:ami,region:ami.
func regionImages(id string) (map[string]string, error) {
	images := make(map[string]string)
	for _, part := range strings.Split(id, ",") {
		region, ami, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok || !cfntemplate.IsRegion(region) || !cfntemplate.IsAMI(ami) {
			return nil, fmt.Errorf("%q is not region:ami", part)
		}
		images[region] = ami
	}
	return images, nil
}

// images lists what goes into the map, by region.
func (p *PostProcessor) images(source packersdk.Artifact) ([]cfntemplate.Image, error) {
	byRegion, err := regionImages(source.Id())
	if err != nil {
		return nil, fmt.Errorf("the artifact of %s (%q) holds no AMIs; expected one of ethminer-ami, amazon-ebs, amazon-ebssurrogate, amazon-instance or amazon-import", source.BuilderId(), source.Id())
	}
	var images []cfntemplate.Image
	for region, id := range byRegion {
		images = append(images, cfntemplate.Image{Region: region, Attribute: p.config.Attribute, ID: id})
	}
	sort.Slice(images, func(i, j int) bool { return images[i].Region < images[j].Region })
	return images, nil
}

// required is required_regions with `build` spelled out.
func (c *Config) required(source packersdk.Artifact) []string {
	var regions []string
	for _, r := range c.RequiredRegions {
		if r != buildRegions {
			regions = append(regions, r)
			continue
		}
		regions = append(regions, buildOf(source).Regions...)
	}
	return regions
}
