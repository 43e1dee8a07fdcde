// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfnsettings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// Build describes the images that a build will create.
type Build struct {
	Name         string
	Architecture string // empty if unknown
	Regions      []string
	Sharing      publish.Sharing // of its images; unknown if it has no Owner
}

// Forecast applies the post-processor's edits to a copy of the template in memory,
// with made-up image ids, and plans its publication. It returns nil if nothing
// will be published.
func (s *Settings) Forecast(b Build) (*publish.Forecast, error) {
	src, err := atomicfile.Read(s.Template)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	current, err := os.ReadFile(s.Target())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("output: %w", err)
	}
	if current, err = s.Base(current); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	attribute, ok := s.AttributeOf(b.Name, b.Architecture)
	if !ok {
		return nil, fmt.Errorf("attributes: has no entry for the build %q or its architecture %q; add one, or set attribute", b.Name, b.Architecture)
	}
	earlier, err := s.manifestBuilds()
	if err != nil {
		return nil, err
	}
	builds := append(earlier, cfntemplate.Build{Name: b.Name, Images: standIns(b.Regions)})
	images := cfntemplate.Newest(builds, func(other cfntemplate.Build, _, _ string) (string, bool) {
		if other.Name == b.Name {
			return attribute, true
		}
		return s.AttributeOf(other.Name, "")
	})
	body, _, err := cfntemplate.Update(s.Template, src, s.Target(), current, images, s.Policy(b.Regions, images))
	if err != nil {
		return nil, err
	}
	if !s.Publish.IsSet() || s.DryRun {
		return nil, nil
	}
	plan, err := publish.Compute(s.Spec(images), body)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	f := &publish.Forecast{Plan: plan, Named: s.Publish.Version != "", Planned: map[publish.Image]publish.Sharing{}}
	for region, id := range standIns(b.Regions) {
		f.Planned[publish.Image{Region: region, Attribute: attribute, ID: id}] = b.Sharing
	}
	f.Later = s.Manifest != "" // builds may still be added to the manifest
	return f, nil
}

// standIns returns made-up ids for images that do not exist yet, by region.
func standIns(regions []string) map[string]string {
	images := map[string]string{}
	for i, region := range regions {
		images[region] = fmt.Sprintf("ami-%017x", i+1)
	}
	return images
}

// CheckWritable checks that the output can be written, with a temporary file of the
// template's size in its folder.
func (s *Settings) CheckWritable() error {
	if s.DryRun {
		return nil
	}
	size := 0
	for _, path := range []string{s.Template, s.Target()} {
		if info, err := os.Stat(path); err == nil {
			size = max(size, int(info.Size()))
		}
	}
	if err := atomicfile.Try(s.Target(), size); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}
