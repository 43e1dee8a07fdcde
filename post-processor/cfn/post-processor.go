// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package cfn is the post-processor ethminer-cfn: it fills the region map of a
// CloudFormation template with the images of a build.
package cfn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfnsettings"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/machinereadable"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/verifyami"
)

// PostProcessor implements the ethminer-cfn post-processor.
type PostProcessor struct {
	config Config
	// configured is true after a Configure without errors; late is the error of a later
	// one.
	configured bool
	late       error

	// describer returns the EC2 client of a region for verify_amis; tests
	// replace it.
	describer func(ctx context.Context, region string) (verifyami.API, error)
}

var _ packersdk.PostProcessor = (*PostProcessor)(nil)

// ConfigSpec describes the block to Packer.
func (p *PostProcessor) ConfigSpec() hcldec.ObjectSpec {
	return cfnsettings.WithJSON(p.config.FlatMapstructure().HCL2Spec(), cfnsettings.JSON)
}

// Configure checks the configuration and the template. It makes no AWS
// calls and writes nothing.
//
// Packer configures an HCL2 post-processor again just before PostProcess, when there
// are images. PostProcess reports an error of that, such as a template that was
// damaged meanwhile, because it also says how to use the images.
func (p *PostProcessor) Configure(raws ...interface{}) error {
	err := p.config.prepare(raws...)
	if p.configured {
		p.late = err
		return nil
	}
	p.configured = err == nil
	return err
}

// PostProcess fills the map. It always keeps the source artifact: otherwise Packer
// destroys a builder's images if its first post-processor fails.
func (p *PostProcessor) PostProcess(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact) (packersdk.Artifact, bool, bool, error) {
	const keep, force = true, true
	if why := unreleased(source); why != "" {
		ui.Errorf("Neither writing nor publishing %s: a launch test has failed, and on_launch_test_failure = \"keep\":\n%s", p.config.Target(), why)
		return newArtifact(source, artifact.Template{Path: p.config.Target(), Refused: "a launch test has failed"}), keep, force, nil
	}
	p.reportUnchecked(ui, source)
	filled, err := p.fill(ctx, ui, source)
	if err != nil {
		if line := p.rescue(source); line != "" {
			ui.Say("The images are kept. To write them into the template without another build, after fixing the cause:\n" + line)
		}
		// The builder has already finished and cannot print this.
		if removal, _ := source.State(artifact.StateRemoval).(string); removal != "" {
			ui.Say("The images are kept. To remove them:\n" + removal)
		}
		return source, keep, force, fmt.Errorf("filling %s in %s: %w", p.config.Mapping, p.config.Template, err)
	}
	if !filled.DryRun {
		plan, failed := p.publish(ctx, ui, source, filled)
		if plan != nil {
			filled.Publication, filled.Published = plan.Brief(), plan.Lines()
		}
		if failed != nil {
			err = fmt.Errorf("publishing %s: %w", filled.Path, failed)
		}
	}
	return newArtifact(source, filled.Template), keep, force, err
}

// filled is the result of fill.
type filled struct {
	artifact.Template
	images []cfntemplate.Image // written into the map; nil after a dry run
}

func (p *PostProcessor) fill(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact) (filled, error) {
	c := &p.config
	if p.late != nil {
		return filled{}, p.late
	}
	if err := errors.Join(p.refuseRehearsal(source), p.checkLaunchTest(source)); err != nil {
		return filled{}, err
	}
	images, err := p.images(ctx, ui, source)
	if err != nil {
		return filled{}, err
	}
	policy := c.Policy(reached(source), images)
	var report *cfntemplate.Report
	var weighed []cfntemplate.Change
	result := artifact.Template{Path: c.Target(), DryRun: c.DryRun}
	build := reportOf(source)
	if c.Weights != "" && len(build.Benchmark) == 0 {
		ui.Say("Note: weights: the build has no benchmark; the weights in " + c.Weights + " do not change")
	}
	edit := func(current []byte) ([]byte, error) {
		src, err := atomicfile.Read(c.Template)
		if err != nil {
			return nil, err
		}
		base, err := c.Base(current)
		if err != nil {
			return nil, err
		}
		template := src
		if c.Weights != "" && len(build.Benchmark) > 0 {
			if src, base, weighed, err = p.weigh(src, base, build); err != nil {
				return nil, err
			}
		}
		var out []byte
		out, report, err = cfntemplate.Update(c.Template, src, c.Target(), base, images, policy)
		if err != nil {
			return nil, err
		}
		result.Diff = string(diff.Diff(c.Template, template, c.Target(), out))
		return out, nil
	}
	if c.DryRun {
		err := p.dryRun(ui, images, edit)
		if report != nil {
			sayNotes(ui, report.Notes)
		}
		return filled{Template: result}, err
	}
	if err := os.MkdirAll(filepath.Dir(c.Target()), 0o755); err != nil {
		return filled{}, err
	}
	wrote, err := atomicfile.Update(ctx, c.Target(), edit)
	if err != nil {
		return filled{}, err
	}
	sayNotes(ui, report.Notes)
	for _, change := range append(report.Changes, weighed...) {
		ui.Say(change.String())
	}
	if wrote {
		ui.Say("Wrote " + c.Target())
	} else {
		ui.Say(c.Target() + " did not change")
	}
	ui.Machine(machinereadable.Template, c.Target())
	return filled{result, images}, nil
}

func sayNotes(ui packersdk.Ui, notes []string) {
	for _, note := range notes {
		ui.Say("Note: " + note)
	}
}

// dryRun prints the changes of edit and the plan of the publication.
func (p *PostProcessor) dryRun(ui packersdk.Ui, images []cfntemplate.Image, edit func([]byte) ([]byte, error)) error {
	target := p.config.Target()
	current, err := os.ReadFile(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := edit(current)
	if err != nil {
		return err
	}
	if d := diff.Diff(target, current, target+" (dry run)", out); d != nil {
		ui.Say(strings.TrimRight(string(d), "\n"))
	} else {
		ui.Say(target + " would not change")
	}
	if !p.config.Publish.IsSet() {
		return nil
	}
	plan, err := publish.Compute(p.config.Spec(images), out)
	if err != nil {
		return err
	}
	ui.Say("Would " + strings.Join(plan.Lines(), "\n"))
	_, err = plan.Images()
	return err
}
