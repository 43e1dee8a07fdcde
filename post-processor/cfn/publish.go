// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// publish brings the template that was written to where the block says. The
// images and the template stay, whatever happens.
func (p *PostProcessor) publish(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact, path string) error {
	if !p.config.Publish.set() {
		return nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	plan, err := p.plan(source, body)
	if err != nil {
		return err
	}
	ui.Say(strings.Join(plan.Lines(), "\n"))
	publisher, err := p.publisher(ctx, ui, source, plan)
	if err != nil {
		return err
	}
	if err := publisher.Publish(ctx, plan); err != nil {
		return p.byHand(ui, source, plan, path, err)
	}
	ui.Say("To look at it, or to go back to the version before:\n" +
		"packer-plugin-ethminer publish status" + where(plan) + "\n" +
		"packer-plugin-ethminer publish rollback" + where(plan))
	return nil
}

// plan is what is to be done with the template's text.
func (p *PostProcessor) plan(source packersdk.Artifact, body []byte) (*publish.Plan, error) {
	images, err := cfntemplate.ArtifactImages(source.Id())
	if err != nil && len(p.config.Publish.S3.Regions) == 0 {
		return nil, fmt.Errorf("publish.s3.regions: not set, and the artifact has no regions: %w", err)
	}
	return publish.Compute(p.config.spec(images), body)
}

func where(plan *publish.Plan) string {
	src := plan.Source()
	return " -region " + src.Region + " " + shellWord(src.String())
}

// publisher returns what publishes: for images of a rehearsal to their rehearsal
// and to nowhere else.
func (p *PostProcessor) publisher(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact, plan *publish.Plan) (*publish.Publisher, error) {
	publisher := &publish.Publisher{Say: func(s string) { ui.Say(s) }}
	if !isRehearsal(source) {
		base, err := p.baseConfig(ctx, plan.Places[0].Region)
		if err != nil {
			return nil, err
		}
		publisher.Clients = ec2api.New(*base, p.config.CustomEndpointEc2)
		return publisher, nil
	}
	folder, _ := source.State(stateRehearsalFolder).(string)
	session, err := rehearsal.Find(ctx, folder)
	if err != nil {
		return nil, fmt.Errorf("these images are from a rehearsal, and are published in that rehearsal only: %w", err)
	}
	publisher.Interval = 100 * time.Millisecond // its time is not AWS's
	publisher.Clients = ec2api.New(session.AWSConfig(plan.Places[0].Region), "")
	return publisher, nil
}

// byHand leaves the plan beside the template, and says how to publish it
// without another build.
func (p *PostProcessor) byHand(ui packersdk.Ui, source packersdk.Artifact, plan *publish.Plan, path string, cause error) error {
	if isRehearsal(source) || errors.Is(cause, publish.ErrSuperseded) {
		return cause
	}
	text, err := json.MarshalIndent(plan.Spec, "", "  ")
	file := path + ".publish.json"
	if err == nil {
		_, err = atomicfile.Update(context.Background(), file, func([]byte) ([]byte, error) { return append(text, '\n'), nil })
	}
	if err != nil {
		return errors.Join(cause, fmt.Errorf("writing %s: %w", file, err))
	}
	words := []string{"packer-plugin-ethminer", "publish", "run", "-plan", shellWord(file)}
	if plan.StackSet != nil {
		for name := range plan.StackSet.Parameters {
			words = append(words, "-parameter", shellWord(name+"=VALUE")) // which may be secret
		}
	}
	ui.Say("The images and the template are kept. To publish them once the cause is mended, without another build:\n" +
		strings.Join(append(words, shellWord(path)), " "))
	return cause
}
