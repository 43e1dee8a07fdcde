// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/machinereadable"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
)

// publish publishes the written template as the publish block specifies, and returns
// the plan that it has carried out; nil without one. The images and the template stay
// even if it fails.
func (p *PostProcessor) publish(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact, wrote filled) (*publish.Plan, error) {
	if !p.config.Publish.IsSet() {
		return nil, nil
	}
	spec := p.config.Spec(wrote.images)
	plan, err := p.carryOut(ctx, ui, source, spec, wrote.Path)
	if err != nil {
		return nil, errors.Join(err, p.leavePlan(ui, source, spec, wrote, err))
	}
	for _, target := range plan.Targets() {
		ui.Machine(machinereadable.Published, target.Kind, target.Region, target.Name, plan.Version)
	}
	return plan, nil
}

func (p *PostProcessor) carryOut(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact, spec publish.Spec, path string) (*publish.Plan, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	plan, err := publish.Compute(spec, body)
	if err != nil {
		return nil, err
	}
	ui.Say(strings.Join(plan.Lines(), "\n"))
	publisher, err := p.publisher(ctx, ui, source, plan)
	if err != nil {
		return nil, err
	}
	if err := publisher.Publish(ctx, plan); err != nil {
		return nil, err
	}
	at := where(source, plan)
	ui.Say("To show its status, or to roll back to the previous version:\n" +
		"packer-plugin-ethminer publish status" + at + "\n" +
		"packer-plugin-ethminer publish rollback" + at)
	return plan, nil
}

// where returns the options and the argument that identify the publication.
func where(source packersdk.Artifact, plan *publish.Plan) string {
	src := plan.Source()
	return inRehearsal(source) + " -region " + src.Region + " " + shellquote.Word(src.String())
}

// inRehearsal returns the -rehearsal option if the images belong to a rehearsal,
// so that the command does not use an AWS account.
func inRehearsal(source packersdk.Artifact) string {
	if !isRehearsal(source) {
		return ""
	}
	folder, _ := source.State(artifact.StateRehearsalDir).(string)
	return " -rehearsal " + shellquote.Word(folder)
}

// publisher returns the publisher. Images of a rehearsal are published only in
// that rehearsal.
func (p *PostProcessor) publisher(ctx context.Context, ui packersdk.Ui, source packersdk.Artifact, plan *publish.Plan) (*publish.Publisher, error) {
	publisher := &publish.Publisher{Say: func(s string) { ui.Say(s) }}
	if !isRehearsal(source) {
		base, err := p.baseConfig(ctx, plan.Places[0].Region)
		if err != nil {
			return nil, err
		}
		publisher.Clients = awsclient.New(*base, p.config.CustomEndpointEc2)
		return publisher, nil
	}
	folder, _ := source.State(artifact.StateRehearsalDir).(string)
	session, err := rehearsal.Find(ctx, folder)
	if err != nil {
		return nil, fmt.Errorf("these images are from a rehearsal and can be published only in it: %w", err)
	}
	base := session.AWSConfig(plan.Places[0].Region)
	publisher.Interval = 100 * time.Millisecond // a rehearsal is faster than AWS
	publisher.Clients = awsclient.New(base, "")
	publisher.AWS = "aws --endpoint-url " + aws.ToString(base.BaseEndpoint)
	return publisher, nil
}

// leavePlan prints the images that are kept, and writes the plan beside the
// template, for `publish run`.
func (p *PostProcessor) leavePlan(ui packersdk.Ui, source packersdk.Artifact, spec publish.Spec, wrote filled, cause error) error {
	var lines []string
	for _, image := range wrote.images {
		lines = append(lines, image.Region+": "+image.ID)
	}
	text := "The images and " + wrote.Path + " are kept:\n" + strings.Join(lines, "\n")
	if errors.Is(cause, publish.ErrSuperseded) {
		ui.Say(text)
		return nil
	}
	plan, err := json.MarshalIndent(spec, "", "  ")
	file := wrote.Path + ".publish.json"
	if err == nil {
		_, err = atomicfile.Update(context.Background(), file, func([]byte) ([]byte, error) { return append(plan, '\n'), nil })
	}
	if err != nil {
		ui.Say(text)
		return fmt.Errorf("writing %s: %w", file, err)
	}
	command := "packer-plugin-ethminer publish run" + inRehearsal(source) + " -plan " + shellquote.Word(file)
	if spec.StackSet != nil {
		for _, name := range slices.Sorted(maps.Keys(spec.StackSet.Parameters)) {
			command += " -parameter " + shellquote.Word(name+"=VALUE") // the value may be secret
		}
		for _, o := range spec.StackSet.Overrides {
			for _, selector := range o.Selectors() {
				command += " -parameter-override " + shellquote.Word(selector+"=VALUE")
			}
		}
	}
	when := ", after fixing the cause"
	if errors.Is(cause, context.Canceled) {
		when = ", or to resume"
	}
	ui.Say(text + "\nTo publish them without another build" + when + ":\n" + command + " " + shellquote.Word(wrote.Path))
	return nil
}
