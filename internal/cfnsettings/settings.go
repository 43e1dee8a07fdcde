// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Settings

// Package cfnsettings holds the options of the ethminer-cfn post-processor as one
// Go type. The ethminer-ami builder takes the same options, to check them before
// the build.
package cfnsettings

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/didyoumean"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// BuildRegions in required_regions stands for the build's target regions.
const BuildRegions = "build"

var accountID = lazyregexp.New(`^[0-9]{12}$`)

// Settings are the options of ethminer-cfn, except those for AWS access.
type Settings struct {
	// The path of the CloudFormation template whose region map is filled, JSON or
	// YAML. The format is detected from the content, not from the file name. The
	// file must exist before the build: a wrong path is an error before anything
	// is launched.
	Template string `mapstructure:"template" required:"true"`
	// The path of the file to write. Its folder is created if necessary. Default:
	// `template` itself, edited in place. Several builds can write to the same
	// output, in one run or in several; each keeps the images of the others.
	// After a change to the template, the output is written again from it, and
	// keeps its images only in cells without an image in the template. Delete the
	// output to start from the template alone. A rehearsal requires an output
	// other than `template`.
	Output string `mapstructure:"output"`
	// The name of the region map in the template's `Mappings` section. Default:
	// `AWSRegion2AMI`.
	Mapping string `mapstructure:"mapping"`
	// The key in each region's row that holds the image id, letters and digits
	// only. Default: `AMI`, unless `attributes` is set.
	Attribute string `mapstructure:"attribute"`
	// The attribute for each build name or architecture (`x86_64`, `arm64`), so
	// that several builds can fill one map, such as
	// `{ x86_64 = "HVM64", arm64 = "HVMARM64" }`. An entry for the build name takes
	// precedence over one for its architecture. A build without an entry uses
	// `attribute`; if that is not set either, it is an error. Default: none.
	Attributes map[string]string `mapstructure:"attributes"`
	// Attributes that may be added to a map in which no row has them yet, such as
	// the one for a second architecture. Any other attribute that no row has is an
	// error, because no stack reads it. Default: none.
	NewAttributes []string `mapstructure:"new_attributes"`
	// Regions that must have an image in every attribute that this build fills;
	// otherwise nothing is written. Entries are region names, `rows` for every
	// region of the images' partition that has a row in the map, and `build` for
	// every target region of the build. `rows` skips rows of other partitions
	// (China, GovCloud) and lists them in a note. A new row in a required region
	// must have every attribute that most rows have, except those that `attributes`
	// assigns to other builds. An image id from an earlier build counts: also set
	// `stale_regions` to `fail` to require that this build fills every row.
	// Default: none.
	RequiredRegions []string `mapstructure:"required_regions"`
	// The name of a second map in the template, with a row for each instance type,
	// such as `InstanceTypes`. In all rows of types with the build's GPU, the
	// benchmark sets `Weight`, the hash rate in units of 10 Mh/s from 1 to 999, and
	// `Source`: `measured` for the type of the build's instance, `estimated` for
	// other types, by their number of GPUs. Other rows keep their weights. A build
	// without a benchmark changes none. Default: no weights are written.
	Weights string `mapstructure:"weights"`
	// How to handle rows that this build did not fill: `keep`, `fail` or `remove`.
	// Rows of other partitions (China, GovCloud) and rows that are not named after a
	// region are never touched. A row with an image in another attribute is not
	// removed. Default: `keep`.
	StaleRegions string `mapstructure:"stale_regions"`
	// The path of a file written by Packer's `manifest` post-processor. The images
	// of its builds are written too, the newest for each region and attribute; the
	// current build's images take precedence. Set a separate `output` in that
	// `manifest` block. Default: none.
	Manifest string `mapstructure:"manifest"`
	// Check in EC2, before anything is written, that each image exists in its
	// region, is available, has the architecture that `attributes` assigns to its
	// attribute, and can be launched by `launch_accounts`. Waits for pending images.
	// Requires the permission `ec2:DescribeImages` in every region. Default: `true`.
	VerifyAMIs config.Trilean `mapstructure:"verify_amis"`
	// How long `verify_amis` waits for a pending image, such as `45m`. Default:
	// `30m`.
	VerifyTimeout time.Duration `mapstructure:"verify_timeout"`
	// The ids of the accounts that will launch the images, 12 digits each.
	// `verify_amis` checks that they have launch permission. Requires the permission
	// `ec2:DescribeImageAttribute`. Default: none.
	LaunchAccounts []string `mapstructure:"launch_accounts"`
	// Refuse images that have not passed a launch test (`launch_test` of the builder,
	// or `packer-plugin-ethminer test-image`). It is known from the build's report and,
	// for images of other builds, from their tag `ethminer:launch-test`, so
	// `verify_amis` must be true. An image that has failed is refused in any case.
	// Default: `false`.
	RequireLaunchTest bool `mapstructure:"require_launch_test"`
	// Print the change as a unified diff and write nothing. Default: `false`.
	DryRun bool `mapstructure:"dry_run"`
	// Where to publish the template after it is written. Default: not published.
	// See [Publishing](#publishing).
	Publish Publish `mapstructure:"publish"`
}

// Prepare sets defaults and checks the options for the named build, "" if the
// name is unknown. It reads files, makes no AWS calls, writes nothing and passes
// every error to fail.
func (s *Settings) Prepare(build string, fail func(format string, args ...any)) {
	if s.Mapping == "" {
		s.Mapping = "AWSRegion2AMI"
	}
	if s.Attribute == "" && len(s.Attributes) == 0 {
		s.Attribute = "AMI"
	}
	if s.StaleRegions == "" {
		s.StaleRegions = string(cfntemplate.StaleKeep)
	}
	if err := cfntemplate.CheckMappingName(s.Mapping); err != nil && s.Mapping != hclvalue.Unknown {
		fail("mapping: %w", err)
	}
	if s.Attribute != "" && s.Attribute != hclvalue.Unknown {
		if err := cfntemplate.CheckAttribute(s.Attribute); err != nil {
			fail("attribute: %w", err)
		}
	}
	for of, a := range s.Attributes {
		if err := cfntemplate.CheckAttribute(a); err != nil && a != hclvalue.Unknown {
			fail("attributes[%q]: %w", of, err)
		}
	}
	for _, a := range s.NewAttributes {
		if err := cfntemplate.CheckAttribute(a); err != nil && a != hclvalue.Unknown {
			fail("new_attributes: %w", err)
		}
	}
	for _, r := range s.RequiredRegions {
		if r != cfntemplate.EveryRow && r != BuildRegions && r != hclvalue.Unknown && !cfntemplate.IsRegion(r) {
			fail("required_regions: got %q, want a region such as us-east-1, or %q, or %q", r, cfntemplate.EveryRow, BuildRegions)
		}
	}
	for _, a := range s.LaunchAccounts {
		if !accountID.MatchString(a) {
			fail("launch_accounts: got %q, want a 12-digit account id", a)
		}
	}
	if len(s.LaunchAccounts) > 0 && s.VerifyAMIs.False() {
		fail("launch_accounts: requires verify_amis, which is false; set verify_amis to true, or remove launch_accounts")
	}
	if s.RequireLaunchTest && s.VerifyAMIs.False() {
		fail("require_launch_test: requires verify_amis, which is false; set verify_amis to true, or remove require_launch_test")
	}
	if s.VerifyTimeout < 0 {
		fail("verify_timeout: got %s, want a duration such as 30m", s.VerifyTimeout)
	}
	switch cfntemplate.Stale(s.StaleRegions) {
	case cfntemplate.StaleKeep, cfntemplate.StaleFail, cfntemplate.StaleRemove:
	default:
		fail("stale_regions: got %q, want keep, fail or remove", s.StaleRegions)
	}
	s.Publish.prepare(fail)
	s.checkAttributes(build, fail)
	if _, err := s.manifestBuilds(); err != nil {
		fail("%w", err)
	}
	if s.Template == "" {
		fail("template: not set; expected the path of the CloudFormation template to fill")
	} else {
		s.checkTemplate(build, fail)
	}
	s.checkTarget(fail)
}

// Architectures are the values of the EC2 API type ArchitectureValues.
var Architectures = []string{"i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"}

// checkAttributes rejects attributes that cannot match the build: neither its name
// nor an architecture.
func (s *Settings) checkAttributes(build string, fail func(format string, args ...any)) {
	if build == "" || build == hclvalue.Unknown || s.Attribute != "" || s.Manifest != "" || len(s.Attributes) == 0 {
		return
	}
	keys := slices.Sorted(maps.Keys(s.Attributes))
	for _, key := range keys {
		if key == build || key == hclvalue.Unknown || slices.Contains(Architectures, key) {
			return
		}
	}
	meant := ""
	for _, key := range keys {
		if near := didyoumean.Nearest(key, append([]string{build}, Architectures...)); near != "" {
			meant = fmt.Sprintf("; %q: did you mean %s?", key, near)
			break
		}
	}
	fail("attributes: got keys %s, want the build name %q or an architecture (%s) among them, or set attribute%s",
		strings.Join(keys, ", "), build, strings.Join(Architectures, ", "), meant)
}

// manifestBuilds returns the builds of the manifest; none if the file does not
// exist, because it may be written before the post-processor reads it.
func (s *Settings) manifestBuilds() ([]cfntemplate.Build, error) {
	if s.Manifest == "" || s.Manifest == hclvalue.Unknown {
		return nil, nil
	}
	src, err := os.ReadFile(s.Manifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	builds, err := cfntemplate.ParseManifest(s.Manifest, src)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w; fix the file, or delete it if this run writes it", err)
	}
	return builds, nil
}

// checkTarget checks, without writing, that the file can be written.
func (s *Settings) checkTarget(fail func(format string, args ...any)) {
	option := "output"
	if s.Output == "" {
		option = "template"
	}
	if target := s.Target(); s.DryRun || target == hclvalue.Unknown || s.Output == "" && s.Template == "" {
		return
	} else if err := checkFolders(target); err != nil {
		fail("%s: %w", option, err)
	} else if err := atomicfile.Writable(target); err != nil {
		fail("%s: %w", option, err)
	}
}

// checkTemplate checks the map, its attributes and its regions, so that errors in
// the template are reported before the build.
func (s *Settings) checkTemplate(build string, fail func(format string, args ...any)) {
	if s.Template == hclvalue.Unknown {
		return
	}
	src, err := atomicfile.Read(s.Template)
	if errors.Is(err, fs.ErrNotExist) {
		fail("template: %w; expected the CloudFormation template to fill; relative paths are resolved from the folder in which packer runs: use ${path.root}/... for a file beside the configuration", err)
		return
	}
	if err != nil {
		fail("template: %w", err)
		return
	}
	if s.Publish.IsSet() && len(src) > publish.MaxTemplate {
		fail("template: %q has %d bytes; CloudFormation accepts at most %d from S3: split it into nested stacks", s.Template, len(src), publish.MaxTemplate)
		return
	}
	t, err := cfntemplate.Parse(s.Template, src)
	if err != nil {
		fail("template: %w", err)
		return
	}
	if s.Mapping == hclvalue.Unknown {
		return
	}
	m, err := t.Mapping(s.Mapping)
	if err != nil {
		fail("template: %w", err)
		return
	}
	if s.Weights != "" && s.Weights != hclvalue.Unknown {
		if _, err := t.Mapping(s.Weights); err != nil {
			fail("weights: %w", err)
		}
	}
	if err := s.checkColumns(build, m); err != nil {
		fail("template: %s:%d:%d: %w", s.Template, m.Line, m.Column, err)
	}
	for _, r := range s.RequiredRegions {
		if _, there := m.Row(r); there || !cfntemplate.IsRegion(r) {
			continue
		}
		if err := region.Check("required_regions", r); err != nil {
			fail("%w", err)
		}
	}
}

// checkColumns rejects a configuration if the map has none of its attributes. The
// architecture, which selects the attribute, is not known yet.
func (s *Settings) checkColumns(build string, m *cfntemplate.Mapping) error {
	var candidates []string
	if a := s.Attributes[build]; a != "" {
		candidates = []string{a}
	} else {
		for _, key := range slices.Sorted(maps.Keys(s.Attributes)) {
			candidates = append(candidates, s.Attributes[key])
		}
		if s.Attribute != "" {
			candidates = append(candidates, s.Attribute)
		}
	}
	var first error
	for _, a := range candidates {
		if a == hclvalue.Unknown || slices.Contains(s.NewAttributes, a) || slices.Contains(s.NewAttributes, hclvalue.Unknown) {
			return nil
		}
		err := m.CheckAttribute(a, optionNames)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// Target returns the path of the file to write.
func (s *Settings) Target() string {
	if s.Output == "" {
		return filepath.Clean(s.Template)
	}
	return filepath.Clean(s.Output)
}

// InPlace reports whether the file to write is the template itself, also by a
// symlink or hard link.
func (s *Settings) InPlace() (bool, error) {
	return atomicfile.Same(s.Template, s.Target())
}

// checkFolders checks that no parent of path is a file.
func checkFolders(path string) error {
	for dir := filepath.Dir(filepath.Clean(path)); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
			return fmt.Errorf("%q: %s is not a folder; expected a path whose folders exist or can be created", path, dir)
		case err == nil, dir == filepath.Dir(dir):
			return nil
		}
	}
}
