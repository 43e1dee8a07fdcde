// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"maps"
	"slices"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// rescue is the command that writes the artifact's images into the map by hand;
// empty where there is nothing to rescue: no images, or those of a rehearsal,
// which no AWS knows.
func (p *PostProcessor) rescue(source packersdk.Artifact) string {
	images, err := cfntemplate.ArtifactImages(source.Id())
	if err != nil || p.config.DryRun || isRehearsal(source) {
		return ""
	}
	attribute, ok := p.config.attributeOf(p.config.PackerBuildName, buildOf(source).Architecture)
	if !ok {
		attribute = "ATTRIBUTE" // which one is what failed
	}
	words := []string{"packer-plugin-ethminer", "map", "set", "-mapping", p.config.Mapping, "-attribute", attribute}
	if p.config.Output != "" {
		words = append(words, "-output", shellWord(p.config.Output))
	}
	words = append(words, shellWord(p.config.Template))
	for _, region := range slices.Sorted(maps.Keys(images)) {
		words = append(words, region+"="+images[region])
	}
	return strings.Join(words, " ")
}

var plainWord = lazyregexp.New(`^[A-Za-z0-9_./:@%+=,-]+$`)

// shellWord quotes a word for a POSIX shell, where it needs that.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
