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
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/verifyami"
)

// PostProcessor is the component.
type PostProcessor struct {
	config     Config
	configured time.Time

	// describer makes the EC2 client of a region for verify_amis; tests set
	// their own.
	describer func(ctx context.Context, region string) (verifyami.API, error)
}

var _ packersdk.PostProcessor = (*PostProcessor)(nil)

func (p *PostProcessor) ConfigSpec() hcldec.ObjectSpec { return p.config.FlatMapstructure().HCL2Spec() }

// Configure checks the configuration and the template. It makes no call and
// writes nothing.
func (p *PostProcessor) Configure(raws ...interface{}) error {
	p.configured = time.Now()
	return p.config.prepare(raws...)
}

// PostProcess fills the map. Whatever happens, the images are kept: Packer
// destroys the artifact of a builder whose first post-processor fails, unless
// the post-processor keeps it.
func (p *PostProcessor) PostProcess(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact) (packersdk.Artifact, bool, bool, error) {
	const keep, force = true, true
	path, err := p.fill(ctx, ui, source)
	if err != nil {
		if line := p.rescue(source); line != "" {
			ui.Say("The images are kept. To write them once the cause is mended, without another build:\n" + line)
		}
		// The builder cannot say this once it has handed its artifact over.
		if removal, _ := source.State(removalState).(string); removal != "" {
			ui.Say("The images are kept. To remove them:\n" + removal)
		}
		return source, keep, force, fmt.Errorf("filling %s in %s: %w", p.config.Mapping, p.config.Template, err)
	}
	if path != "" {
		if err := p.publish(ctx, ui, source, path); err != nil {
			return &artifact{source, path}, keep, force, fmt.Errorf("publishing %s: %w", path, err)
		}
	}
	return &artifact{source, path}, keep, force, nil
}

// removalState is the artifact's key of the commands that remove its images.
const removalState = "ethminer.removal"

// fill returns the path that it wrote; empty after a dry run.
func (p *PostProcessor) fill(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact) (string, error) {
	c := &p.config
	if err := p.refuseRehearsal(source); err != nil {
		return "", err
	}
	images, err := p.images(ctx, ui, source)
	if err != nil {
		return "", err
	}
	policy := cfntemplate.Policy{Mapping: c.Mapping, Required: c.required(source), Stale: cfntemplate.Stale(c.StaleRegions)}

	var changes []cfntemplate.Change
	edit := func(current []byte) ([]byte, error) {
		src, err := p.base(current)
		if err != nil {
			return nil, err
		}
		t, err := cfntemplate.Parse(c.Template, src)
		if err != nil {
			return nil, err
		}
		var out []byte
		out, changes, err = t.Fill(images, policy)
		return out, err
	}
	if c.DryRun {
		return "", p.dryRun(ui, source, edit)
	}
	if err := os.MkdirAll(filepath.Dir(c.target()), 0o755); err != nil {
		return "", err
	}
	wrote, err := atomicfile.Update(ctx, c.target(), edit)
	if err != nil {
		return "", err
	}
	for _, change := range changes {
		ui.Say(change.String())
	}
	if wrote {
		ui.Say(c.target())
	} else {
		ui.Say(c.target() + " did not change")
	}
	return c.target(), nil
}

// base is the text to edit: the file to write itself, if it is the template or
// if another build of this run has written it, so that the cells of both
// remain; else the template. current is the file's content.
func (p *PostProcessor) base(current []byte) ([]byte, error) {
	same, err := p.config.inPlace()
	if err != nil {
		return nil, err
	}
	if same && current != nil {
		return current, nil
	}
	if info, err := os.Stat(p.config.target()); err == nil && !info.ModTime().Before(p.configured) {
		return current, nil
	}
	return os.ReadFile(p.config.Template)
}

// dryRun prints what edit would change, and what would be published.
func (p *PostProcessor) dryRun(ui packersdk.Ui, source packersdk.Artifact, edit func([]byte) ([]byte, error)) error {
	target := p.config.target()
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
	if !p.config.Publish.set() {
		return nil
	}
	plan, err := p.plan(source, out)
	if err != nil {
		return err
	}
	ui.Say("Would " + strings.Join(plan.Lines(), "\n"))
	return nil
}
