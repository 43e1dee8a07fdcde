// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package report is the post-processor ethminer-report: it writes the report of a build
// as an HTML page.
package report

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/machinereadable"
	"github.com/eth-mining/packer-plugin-ethminer/internal/reportpage"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
)

// PostProcessor implements the ethminer-report post-processor.
type PostProcessor struct {
	config Config
	// configured is true after a Configure without errors; late is the error of a later
	// one.
	configured bool
	late       error
}

var _ packersdk.PostProcessor = (*PostProcessor)(nil)

// ConfigSpec describes the block to Packer.
func (p *PostProcessor) ConfigSpec() hcldec.ObjectSpec { return p.config.FlatMapstructure().HCL2Spec() }

// Configure checks the configuration and the reports to compare with. It writes
// nothing.
//
// Packer configures an HCL2 post-processor again just before PostProcess, when there
// are images. PostProcess reports an error of that, because it keeps the images.
func (p *PostProcessor) Configure(raws ...interface{}) error {
	err := p.config.prepare(raws...)
	if p.configured {
		p.late = err
		return nil
	}
	p.configured = err == nil
	return err
}

// PostProcess writes the page and the JSON. It always keeps the source artifact:
// otherwise Packer destroys a builder's images if its first post-processor fails.
func (p *PostProcessor) PostProcess(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact) (packersdk.Artifact, bool, bool, error) {
	const keep, force = true, true
	page, err := p.write(ctx, source)
	if err != nil {
		// The builder has already finished and cannot print this.
		if removal, _ := source.State(artifact.StateRemoval).(string); removal != "" {
			ui.Say("The images are kept. To remove them:\n" + removal)
		}
		return source, keep, force, fmt.Errorf("writing the report: %w", err)
	}
	ui.Sayf("Wrote %s and %s", page, jsonBeside(page))
	ui.Machine(machinereadable.Report, page, jsonBeside(page))
	return newArtifact(source, page), keep, force, nil
}

// write writes both files and returns the path of the page.
func (p *PostProcessor) write(ctx context.Context, source packersdk.Artifact) (string, error) {
	if p.late != nil {
		return "", p.late
	}
	text, _ := source.State(artifact.StateBuild).(string)
	if text == "" {
		return "", fmt.Errorf("the artifact of %s has no report; expected one of ethminer-ami, also after ethminer-cfn", source.BuilderId())
	}
	build, err := summary.Decode([]byte(text))
	if err != nil {
		return "", err
	}
	in := reportpage.Input{Build: build}
	if in.Earlier, err = p.config.earlier(); err != nil {
		return "", err
	}
	if template, ok := artifact.DecodeTemplate(source.State(artifact.StateTemplate)); ok {
		in.Template = &template
	}
	page, err := p.config.page(names{BuildID: build.BuildID, BuildName: p.config.PackerBuildName})
	if err != nil {
		return "", err
	}
	var html, raw bytes.Buffer
	if err := reportpage.Write(&html, in); err != nil {
		return "", err
	}
	if err := json.Indent(&raw, []byte(text), "", "  "); err != nil { // keeps fields of later versions
		return "", err
	}
	raw.WriteByte('\n')
	if err := os.MkdirAll(filepath.Dir(page), 0o755); err != nil {
		return "", err
	}
	if err := replace(ctx, page, html.Bytes()); err != nil {
		return "", err
	}
	return page, replace(ctx, jsonBeside(page), raw.Bytes())
}

// names are the values that output can contain.
type names struct{ BuildID, BuildName string }

func replace(ctx context.Context, path string, content []byte) error {
	_, err := atomicfile.Update(ctx, path, func([]byte) ([]byte, error) { return content, nil })
	return err
}
