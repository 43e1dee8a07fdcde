// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
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

// images lists what goes into the map: the images of the builds of the manifest
// and of the artifact, the newest for each cell, verified.
func (p *PostProcessor) images(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact) ([]cfntemplate.Image, error) {
	builds, err := p.builds(source)
	if err != nil {
		return nil, err
	}
	arch := func(_, _ string) string { return buildOf(source).Architecture }
	if !p.config.VerifyAMIs.False() {
		if arch, err = p.verify(ctx, ui, source, builds); err != nil {
			return nil, err
		}
	}
	var errs []error
	used := make(map[string]string) // attribute: architecture of its images
	images := cfntemplate.Newest(builds, func(b cfntemplate.Build, region, ami string) (string, bool) {
		a := arch(region, ami)
		name, ok := p.config.attributeOf(b.Name, a)
		switch own := b.Name == p.config.PackerBuildName; {
		case !ok && own:
			errs = append(errs, fmt.Errorf("attributes: names neither the build %q nor its architecture %q; add one of them, or set attribute", b.Name, a))
		case ok && a != "":
			if err := p.config.rightArchitecture(name, a, used[name]); err != nil {
				errs = append(errs, fmt.Errorf("%s in %s: %w", ami, region, err))
			}
			used[name] = a
		}
		return name, ok
	})
	if len(errs) > 0 {
		return nil, errs[0]
	}
	if len(images) == 0 {
		return nil, errors.New("no build of the manifest goes into the map; attributes names none of them")
	}
	return images, nil
}

// builds lists the builds whose images are wanted, the oldest first; the
// artifact's is the last.
func (p *PostProcessor) builds(source packersdk.Artifact) ([]cfntemplate.Build, error) {
	var builds []cfntemplate.Build
	if p.config.Manifest != "" {
		src, err := os.ReadFile(p.config.Manifest)
		if err != nil {
			return nil, fmt.Errorf("manifest: %w", err)
		}
		if builds, err = cfntemplate.ParseManifest(p.config.Manifest, src); err != nil {
			return nil, fmt.Errorf("manifest: %w", err)
		}
	}
	images, err := cfntemplate.ArtifactImages(source.Id())
	switch {
	case err == nil:
		return append(builds, cfntemplate.Build{Name: p.config.PackerBuildName, Images: images}), nil
	case len(builds) > 0:
		return builds, nil // a build that only merges a manifest
	}
	return nil, fmt.Errorf("the artifact of %s holds no AMIs (its id is %q); expected one of ethminer-ami, amazon-ebs, amazon-ebssurrogate, amazon-instance or amazon-import, or set manifest", source.BuilderId(), source.Id())
}

// architectures that EC2 knows, from the API's type ArchitectureValues.
var architectures = []string{"i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"}

// attributeOf says where the images of a build go; false if nowhere.
func (c *Config) attributeOf(build, architecture string) (string, bool) {
	if a := c.Attributes[build]; a != "" {
		return a, true
	}
	if a := c.Attributes[architecture]; a != "" {
		return a, true
	}
	return c.Attribute, c.Attribute != ""
}

// rightArchitecture checks that an attribute holds images of one architecture,
// and of the one that attributes gives it. before is that of another of its
// images, if there was one.
func (c *Config) rightArchitecture(attribute, got, before string) error {
	if before != "" && before != got {
		return fmt.Errorf("its architecture is %s, while another image for %s is %s; give each architecture its attribute in attributes", got, attribute, before)
	}
	var right []string
	for _, a := range architectures {
		if c.Attributes[a] == attribute {
			right = append(right, a)
		}
	}
	if len(right) > 0 && !slices.Contains(right, got) {
		return fmt.Errorf("its architecture is %s; attributes has %s for %s", got, attribute, strings.Join(right, ", "))
	}
	return nil
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
		if images, err := cfntemplate.ArtifactImages(source.Id()); err == nil {
			regions = slices.AppendSeq(regions, maps.Keys(images))
		}
	}
	return regions
}
