// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"maps"
	"slices"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
)

// rescue returns the command that writes the artifact's images into the map. It
// is empty after a dry run, for a template that a rehearsal may not edit, and if the
// artifact has no images.
func (p *PostProcessor) rescue(source packersdk.Artifact) string {
	images, err := cfntemplate.ArtifactImages(source.Id())
	if err != nil || p.config.DryRun || p.refuseRehearsal(source) != nil {
		return ""
	}
	attribute, ok := p.config.AttributeOf(p.config.PackerBuildName, reportOf(source).Architecture)
	if !ok {
		attribute = "ATTRIBUTE" // the build failed to select it
	}
	words := []string{"packer-plugin-ethminer", "map", "set", "-mapping", p.config.Mapping, "-attribute", attribute}
	if slices.Contains(p.config.NewAttributes, attribute) {
		words = append(words, "-new-attributes", attribute)
	}
	if len(p.config.RequiredRegions) > 0 {
		words = append(words, "-required-regions", strings.Join(p.config.RequiredRegions, ","))
	}
	if p.config.StaleRegions != string(cfntemplate.StaleKeep) {
		words = append(words, "-stale-regions", p.config.StaleRegions)
	}
	if p.config.VerifyAMIs.False() || isRehearsal(source) {
		words = append(words, "-verify-amis=false")
	}
	if p.config.Output != "" {
		words = append(words, "-output", p.config.Output)
	}
	words = append(words, p.config.Template)
	for _, region := range slices.Sorted(maps.Keys(images)) {
		words = append(words, region+"="+images[region])
	}
	return shellquote.Words(words...)
}
