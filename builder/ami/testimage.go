// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"errors"
	"fmt"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/steps"
	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
)

// TestImages makes the launch test of existing images, which are the regions and ids of
// images. options are those of the builder, with a region and launch_test. The verdicts
// are in the order of images; tag writes them to the images' tags.
func TestImages(ctx context.Context, ui packersdk.Ui, options map[string]any, images []distribute.Image, tag bool) ([]artifact.LaunchTest, error) {
	if len(images) == 0 {
		return nil, errors.New("no image to test")
	}
	options["source_ami"] = images[0].ID // not launched: each test has its image
	b := new(Builder)
	_, warnings, err := b.Prepare(options)
	if err != nil {
		return nil, err
	}
	for _, line := range warnings {
		ui.Say("Warning: " + line)
	}
	clients, err := connectClients(ctx, &b.config, ui)
	if err != nil {
		return nil, err
	}
	job, state := b.begin(clients, ui, nil)
	ui.Say(fmt.Sprintf("Build ID: %s", b.config.ID()))
	results := job.TestImages(ctx, steps.UIOf(state), b.runLaunchTest, images, tag)
	job.ReportLeft(ui)
	return results, ctx.Err()
}
