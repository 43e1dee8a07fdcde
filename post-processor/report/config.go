// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type Config

package report

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/packer-plugin-sdk/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"

	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hcldecode"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
)

// Config is the configuration of a `post-processor "ethminer-report"` block.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`

	// The path of the page to write, which must end with `.html`. Its folder is
	// created if necessary. The build's report is written beside it as JSON, with
	// the ending `.json`. Existing files are replaced. `{{ .BuildID }}` is
	// replaced by the build's id and `{{ .BuildName }}` by the name of the
	// source: with several sources, or to keep the reports of earlier builds,
	// use one of them, such as `reports/{{ .BuildID }}.html`. Default:
	// `report.html`.
	Output string `mapstructure:"output"`
	// Reports of earlier builds (the JSON files) to compare with, as paths or
	// patterns such as `reports/*.json`. A pattern may match no file. The report
	// of the build itself is skipped. A file that is not a build's report is an
	// error before the build. Default: none.
	Compare []string `mapstructure:"compare"`

	ctx interpolate.Context
}

// defaultOutput is the page if output is not set.
const defaultOutput = "report.html"

// prepare decodes and checks the configuration. It reads files, writes nothing and
// collects all errors.
func (c *Config) prepare(raws ...interface{}) error {
	mistakes, err := hcldecode.Decode(c, &config.DecodeOpts{
		PluginType:         "ethminer-report",
		Interpolate:        true,
		InterpolateContext: &c.ctx,
		InterpolateFilter:  &interpolate.RenderFilter{Exclude: []string{"output"}}, // the build's id is known later
	}, raws...)
	if err != nil {
		return err
	}
	errs := packersdk.MultiErrorAppend(nil, mistakes...)
	fail := func(err error) {
		if err != nil {
			errs = packersdk.MultiErrorAppend(errs, err)
		}
	}
	if c.Output == "" {
		c.Output = defaultOutput
	}
	fail(c.checkOutput())
	_, err = c.earlier()
	fail(err)
	if t := c.PackerBuilderType; t != "" && t != "ethminer-ami" {
		fail(fmt.Errorf("builder: got %s, want ethminer-ami, which leaves a report; restrict this post-processor to it with only", t))
	}
	if len(errs.Errors) > 0 {
		return errs
	}
	return nil
}

// checkOutput checks that the page and the JSON beside it can be written.
func (c *Config) checkOutput() error {
	if strings.Contains(c.Output, hclvalue.Unknown) {
		return nil
	}
	page, err := c.page(names{BuildID: "id", BuildName: "name"})
	if err != nil {
		return err
	}
	for _, path := range []string{page, jsonBeside(page)} {
		if err := atomicfile.Writable(path); err != nil {
			return fmt.Errorf("output: %w", err)
		}
	}
	return nil
}

// page returns the path of the page.
func (c *Config) page(n names) (string, error) {
	ctx := c.ctx
	ctx.Data = n
	path, err := interpolate.Render(c.Output, &ctx)
	if err != nil {
		return "", fmt.Errorf("output: got %q, want a path with {{ .BuildID }} or {{ .BuildName }} at most: %w", c.Output, err)
	}
	if filepath.Ext(path) != ".html" {
		return "", fmt.Errorf("output: got %q, want a path that ends with .html", c.Output)
	}
	return filepath.Clean(path), nil
}

// jsonBeside returns the path of the JSON of a page.
func jsonBeside(page string) string { return strings.TrimSuffix(page, ".html") + ".json" }

// earlier returns the reports to compare with.
func (c *Config) earlier() (builds []summary.Build, err error) {
	var errs []error
	var seen []string
	for _, pattern := range c.Compare {
		files, err := matches(pattern)
		if err != nil {
			errs = append(errs, fmt.Errorf("compare: %w", err))
		}
		for _, file := range files {
			if slices.Contains(seen, file) {
				continue
			}
			seen = append(seen, file)
			build, err := readBuild(file)
			if err != nil {
				errs = append(errs, fmt.Errorf("compare: %w", err))
				continue
			}
			builds = append(builds, build)
		}
	}
	return builds, errors.Join(errs...)
}

// matches returns the files of a path or pattern.
func matches(pattern string) ([]string, error) {
	switch {
	case pattern == hclvalue.Unknown:
		return nil, nil
	case !strings.ContainsAny(pattern, `*?[`):
		return []string{pattern}, nil
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("got %q, want a path or a pattern such as \"reports/*.json\": %w", pattern, err)
	}
	return files, nil
}

func readBuild(file string) (summary.Build, error) {
	text, err := atomicfile.Read(file)
	if err != nil {
		return summary.Build{}, err
	}
	build, err := summary.Decode(text)
	if err != nil {
		return summary.Build{}, fmt.Errorf("%s: %w; remove it from compare, or name the files more precisely", file, err)
	}
	return build, nil
}
