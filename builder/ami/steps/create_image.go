// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// CreateImage creates the image of the instance in the build's region.
//
// If the build's region gets no image, or an encrypted one, this image is an
// intermediary with a name of its own, which Distribute removes.
type CreateImage struct{}

func (CreateImage) Facts() (needs, yields []Fact) {
	return facts(Adopted, SourceImage, ReplacedImages, Instance, Benchmark), facts(BuildImage)
}

func (CreateImage) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	if b.Config.SkipCreateAMI {
		ui.Say("Skipping the creation of the image (skip_create_ami)")
		return multistep.ActionContinue
	}
	request, err := b.imageRequest(state)
	if err != nil {
		return Halt(state, "creating the image: %w", err)
	}
	b.intermediary, b.Report.Capture = b.Config.NeedsIntermediary(), b.capture()
	name := aws.ToString(request.Name)
	ui.Sayf("Creating the image %q...", name)
	client := b.Clients.EC2(b.Clients.Region())
	instance, _ := state.Get(keyInstance).(ec2types.Instance)
	for try := 1; ; try++ {
		err := b.makeImage(ctx, client, request, b.volumes(instance), ui)
		var ended *distribute.EndedError
		if err == nil {
			break
		}
		if !errors.As(err, &ended) || try == maxImages || ctx.Err() != nil {
			return Halt(state, "creating the image %q: %w", name, err)
		}
		ui.Sayf("%s; creating the image again", err)
		if err := b.discardImage(ctx, client); err != nil {
			return Halt(state, "creating the image %q again: %w", name, err)
		}
	}
	for _, snapshot := range b.image.Snapshots {
		b.ledger.Add(cleanup.Entry{Kind: cleanup.Snapshot, Region: b.image.Region, ID: snapshot})
	}
	return multistep.ActionContinue
}

// maxImages is the number of failed images after which the build fails.
const maxImages = 2

// makeImage creates the image and waits until it is available.
func (b *Build) makeImage(ctx context.Context, client *awsclient.EC2, request *ec2.CreateImageInput, volumes int, ui packersdk.Ui) error {
	id, err := b.createImage(ctx, client, request, ui)
	if err != nil {
		return err
	}
	b.image = distribute.Image{Region: b.Clients.Region(), ID: id}
	b.ledger.Add(cleanup.Entry{Kind: cleanup.Image, Region: b.image.Region, ID: b.image.ID, Snapshots: volumes})
	created := time.Now()
	b.stopOnceCaptured(ctx, client, ui)
	ui.Sayf("Waiting for %s...", b.image.ID)
	b.image, err = distribute.WaitAvailable(ctx, client, b.image, b.wait, b.progress(ui))
	b.imageTook = time.Since(created)
	if err == nil {
		ui.Sayf("%s: %s is available", b.image.Region, b.image.ID)
	}
	return err
}

// discardImage removes a failed image, and waits until the next one can be created
// from the instance.
func (b *Build) discardImage(ctx context.Context, client *awsclient.EC2) error {
	if err := b.remover(b.image.Region).Remove(ctx, seenImage(b.image.Region, b.image.ID)); err != nil {
		return fmt.Errorf("removing %s: %w", b.image.ID, err)
	}
	b.freed[b.image.Region] = true
	b.image = distribute.Image{}
	if b.runs.IsZero() { // stopped, or stopping since its snapshots have started
		return b.awaitStopped(ctx, client)
	}
	return nil
}

// imageRequest returns the CreateImage request of the instance, which is also used
// for its dry run.
func (b *Build) imageRequest(state multistep.StateBag) (*ec2.CreateImageInput, error) {
	region := b.Clients.Region()
	name := b.nameIn(region)
	onImage, onSnapshots, err := b.imageTags(state, region)
	if b.Config.NeedsIntermediary() {
		name = b.Config.IntermediaryName()
		onImage, err = b.intermediaryTags(state, region)
		onSnapshots = onImage
	}
	if err != nil {
		return nil, err
	}
	description, err := b.description(state, region)
	if err != nil {
		return nil, err
	}
	var noReboot *bool // omitted by default
	if b.capture() == options.CaptureNoReboot {
		noReboot = aws.Bool(true)
	}
	return &ec2.CreateImageInput{
		InstanceId:          aws.String(b.Report.InstanceID),
		Name:                aws.String(name),
		Description:         aws.String(description),
		NoReboot:            noReboot,
		BlockDeviceMappings: options.BlockDevices(b.Config.AMIMappings),
		TagSpecifications: []ec2types.TagSpecification{
			{ResourceType: ec2types.ResourceTypeImage, Tags: onImage},
			{ResourceType: ec2types.ResourceTypeSnapshot, Tags: onSnapshots},
		},
	}, nil
}

// createImage creates the image and returns its id. CreateImage has no client
// token: if its response is lost, the second request fails as the name is in use
// by this build's own image. The name may also be in use by a failed image that the
// build has deregistered.
func (b *Build) createImage(ctx context.Context, client *awsclient.EC2, input *ec2.CreateImageInput, ui packersdk.Ui) (id string, err error) {
	name, freed := aws.ToString(input.Name), b.freed[b.Clients.Region()]
	again := func(err error, pause time.Duration) {
		ui.Sayf("%s; retrying in %s", awsclient.Plain(err), pause.Round(time.Second))
	}
	for try := 1; ; try++ {
		err = b.createWith(ctx, b.Patience.Freed(freed), again, func(ctx context.Context) error {
			out, err := client.CreateImage(ctx, input)
			switch {
			case err == nil:
				id = aws.ToString(out.ImageId)
			case freed && awsclient.IsNameInUse(err):
				if own, lookErr := b.findOwn(ctx, client, name); lookErr == nil && own != "" {
					id, err = own, nil
				}
			}
			return err
		})
		switch {
		case awsclient.IsNameInUse(err):
			if own, lookErr := b.ownImage(context.WithoutCancel(ctx), client, name); lookErr == nil {
				return own, nil
			}
			return "", err
		case awsclient.IsUnanswered(err) && !awsclient.GaveUp(err) && try < lostResponses:
			continue
		}
		return id, err
	}
}

// ownImage waits until EC2 lists the build's own image of a name.
func (b *Build) ownImage(ctx context.Context, client *awsclient.EC2, name string) (id string, err error) {
	err = b.settles().Until(ctx, name+" to be listed", func(ctx context.Context) (bool, error) {
		id, err = b.findOwn(ctx, client, name)
		return id != "", err
	})
	return id, err
}

// findOwn returns the build's own image of a name that is pending or available;
// empty if EC2 lists none.
func (b *Build) findOwn(ctx context.Context, client *awsclient.EC2, name string) (id string, err error) {
	found, err := distribute.Find(ctx, client, map[string]string{"name": name, "tag:" + tags.BuildID: b.Config.ID()})
	for _, image := range found {
		if image.State == ec2types.ImageStatePending || image.State == ec2types.ImageStateAvailable {
			return aws.ToString(image.ImageId), nil
		}
	}
	return "", err
}

// Cleanup removes the image of a failed build.
func (CreateImage) Cleanup(state multistep.StateBag) {
	b := BuildOf(state)
	if b.image.ID == "" || !b.takesBack() {
		return
	}
	ctx, cancel := cleanup.Context()
	defer cancel()
	removeImages(ctx, state, b.image)
}

// stopOnceCaptured stops an instance that is running during CreateImage, once
// all snapshots have started: a snapshot holds its volume's data at that time.
// It does not terminate the instance, as that would delete its volumes, and AWS
// does not document that a pending snapshot works without its volume. A one-time
// spot instance cannot be stopped. A failure is reported, but is no error.
func (b *Build) stopOnceCaptured(ctx context.Context, client *awsclient.EC2, ui packersdk.Ui) {
	if b.capture() == options.CaptureStop || b.runs.IsZero() {
		return
	}
	id := b.Report.InstanceID
	if b.capture() == options.CaptureNoReboot {
		ui.Sayf("Waiting for the snapshots of %s to start...", id)
	} else {
		ui.Sayf("Waiting for EC2 to shut down %s and start its snapshots...", id)
	}
	err := b.awaitBegun(ctx, client)
	if b.onSpot() {
		if err != nil {
			log.Printf("[WARN] waiting for the snapshots to begin: %s", err)
		}
		return
	}
	if err == nil {
		err = b.stopInstance(ctx, client)
	}
	var ended *distribute.EndedError
	switch {
	case ctx.Err() != nil || errors.As(err, &ended): // the wait for the image reports it
	case err != nil:
		ui.Errorf("could not stop %s; it keeps running until its image is available: %s", id, err)
	default:
		b.ran()
		ui.Sayf("Stopping %s: all its snapshots have started", id)
	}
}

// awaitBegun waits until the snapshots of all volumes of the image have started.
func (b *Build) awaitBegun(ctx context.Context, client *awsclient.EC2) error {
	found, err := launch.Describe(ctx, client, b.Report.InstanceID)
	if err != nil {
		return err
	}
	return distribute.WaitBegun(ctx, client, b.image, b.volumes(found), b.wait)
}

// volumes returns the number of volumes of an instance that its image contains.
func (b *Build) volumes(instance ec2types.Instance) (n int) {
	left := map[string]bool{}
	for _, device := range b.Config.AMIMappings {
		left[device.DeviceName] = device.NoDevice
	}
	for _, device := range instance.BlockDeviceMappings {
		if device.Ebs != nil && !left[aws.ToString(device.DeviceName)] {
			n++
		}
	}
	return n
}

// CheckImage makes a dry run of CreateImage as soon as the instance exists,
// so that a refusal fails the build before provisioning. The preflight cannot do
// this, as a policy may depend on the instance's tags.
type CheckImage struct{ noCleanup }

func (CheckImage) Facts() (needs, yields []Fact) {
	return facts(Adopted, SourceImage, ReplacedImages, Instance, Benchmark), nil
}

func (CheckImage) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := BuildOf(state)
	if b.Config.SkipCreateAMI || b.Config.Preflight == options.PreflightOff {
		return multistep.ActionContinue
	}
	request, err := b.imageRequest(state)
	if err != nil {
		return Halt(state, "checking whether the image can be created: %w", err)
	}
	request.DryRun = aws.Bool(true)
	_, err = b.Clients.EC2(b.Clients.Region()).CreateImage(ctx, request, awsclient.FewTries)
	switch {
	case awsclient.IsUnauthorized(err), awsclient.IsBadParameter(err), awsclient.IsIncomplete(err):
		return Halt(state, "checking whether the image can be created: ec2:CreateImage: a dry run in %s failed, so the build stops before provisioning: %w",
			b.Clients.Region(), awsclient.Plain(err))
	case err != nil && !awsclient.IsDryRunPassed(err):
		log.Printf("[INFO] the dry run of CreateImage is inconclusive: %s", err)
	}
	return multistep.ActionContinue
}
