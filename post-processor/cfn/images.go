// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfnsettings"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
)

func reportOf(source packersdk.Artifact) artifact.Report {
	return artifact.Decode(source.State(artifact.StateBuild))
}

func isRehearsal(source packersdk.Artifact) bool {
	switch v := source.State(artifact.StateRehearsal).(type) {
	case bool:
		return v
	case string:
		return v == "true"
	}
	return false
}

// refuseRehearsal keeps simulated images out of the template that real stacks use.
func (p *PostProcessor) refuseRehearsal(source packersdk.Artifact) error {
	if !isRehearsal(source) {
		return nil
	}
	same, err := p.config.InPlace()
	if err != nil {
		return err
	}
	if same {
		return errors.New("these images are from a rehearsal, and output is the template itself; a rehearsal never edits a template in place: set output to another file")
	}
	return nil
}

// images returns the images to write: those of the manifest and of the artifact,
// the newest for each cell. It verifies them unless verify_amis is false.
func (p *PostProcessor) images(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact) ([]cfntemplate.Image, error) {
	builds, err := p.builds(source)
	if err != nil {
		return nil, err
	}
	arch := func(_, _ string) string { return reportOf(source).Architecture }
	if !p.config.VerifyAMIs.False() {
		if arch, err = p.verify(ctx, ui, source, builds); err != nil {
			return nil, err
		}
	}
	var errs []error
	used := make(map[string]string) // attribute: architecture of its images
	images := cfntemplate.Newest(builds, func(b cfntemplate.Build, region, ami string) (string, bool) {
		a := arch(region, ami)
		name, ok := p.config.AttributeOf(b.Name, a)
		switch own := b.Name == p.config.PackerBuildName; {
		case !ok && own:
			errs = append(errs, fmt.Errorf("attributes: has no entry for the build %q or its architecture %q; add one, or set attribute", b.Name, a))
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
		return nil, errors.New("manifest: none of its builds has an entry in attributes; add one by build name, or set attribute")
	}
	return images, nil
}

// builds returns the builds to take images from, oldest first. The artifact's
// build is the last one.
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
		return builds, nil // this build only merges a manifest
	}
	return nil, fmt.Errorf("the artifact of %s contains no AMIs (its id is %q); expected one of ethminer-ami, amazon-ebs, amazon-ebssurrogate, amazon-instance or amazon-import, or set manifest", source.BuilderId(), source.Id())
}

// rightArchitecture checks that all images of an attribute have the same
// architecture, and that the option attributes allows it. before is the architecture
// of the attribute's previous image, if any.
func (c *Config) rightArchitecture(attribute, got, before string) error {
	if before != "" && before != got {
		return fmt.Errorf("its architecture is %s, but another image for %s is %s; assign each architecture its own attribute in attributes", got, attribute, before)
	}
	var right []string
	for _, a := range cfnsettings.Architectures {
		if c.Attributes[a] == attribute {
			right = append(right, a)
		}
	}
	if len(right) > 0 && !slices.Contains(right, got) {
		return fmt.Errorf("its architecture is %s; attributes assigns %s to %s", got, attribute, strings.Join(right, ", "))
	}
	return nil
}

// reached returns the target regions of the build and the regions of its images.
func reached(source packersdk.Artifact) []string {
	regions := slices.Clone(reportOf(source).Regions)
	if images, err := cfntemplate.ArtifactImages(source.Id()); err == nil {
		regions = slices.AppendSeq(regions, maps.Keys(images))
	}
	return regions
}
