// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// fleets launches spot instances with one request for several types and places: a fleet
// of type instant with one instance, and a temporary launch template. EC2 keeps such a
// fleet as a record only: it launches nothing later.
type fleets struct {
	b         *Build
	client    *awsclient.EC2
	state     multistep.StateBag
	templates map[bool]fleetTemplate // by options.Burstable

	// input is the last request, if EC2 has not answered it: the same token returns
	// the same fleet.
	input *ec2.CreateFleetInput
	of    []launch.Attempt
}

// fleetTemplate is a launch template. The tags in it tell sweep when the instance has
// expired, so a long wait for capacity needs another one.
type fleetTemplate struct {
	id string
	at time.Time
}

// templateAge is how long a launch template is used. An instance expires an hour after
// max_build_time.
const templateAge = 30 * time.Minute

// launch makes launch attempts with one request.
func (f *fleets) launch(ctx context.Context, attempts []launch.Attempt) (response launch.FleetResponse, err error) {
	burstable := options.Burstable(attempts[0].Type) // the same for all of a fleet
	template := f.templates[burstable].id
	if template != "" && f.input == nil && time.Since(f.templates[burstable].at) > templateAge {
		f.b.removeTemporary(UIOf(f.state), cleanup.Entry{Kind: cleanup.LaunchTemplate, Region: f.b.Clients.Region(), ID: template})
		template = ""
	}
	if template == "" {
		run, err := f.b.runInstancesInput(f.state, attempts[0], "")
		if err != nil {
			return response, err
		}
		input, err := f.b.templateInput(f.state, run)
		if err == nil {
			template, err = f.b.createTemplate(ctx, f.client, input)
		}
		if err != nil {
			return response, fmt.Errorf("creating the launch template: %w", err)
		}
		f.templates[burstable] = fleetTemplate{template, time.Now()}
	}
	deadline := clock.Now().Add(profilePatience)
	for {
		if f.input == nil || !slices.Equal(f.of, attempts) {
			if f.input, err = f.b.fleetInput(f.state, template, attempts); err != nil {
				return response, err
			}
			f.of = attempts
		}
		response = launch.FleetResponse{}
		out, instance, err := f.b.createFleet(ctx, f.client, f.input)
		if err == nil || !awsclient.IsThrottle(err) {
			f.input = nil // the next request is a new one
		}
		switch {
		case instance != nil:
			response.Launched, response.Await = f.accepted(*instance, attempts)
		case err == nil:
			response, err = f.read(out, attempts)
		}
		unknown := f.b.isNewUnknown(err) ||
			response.Await == nil && slices.ContainsFunc(response.Errors, func(e launch.AttemptError) bool { return f.b.isNewUnknown(e.Err) })
		if !unknown || clock.Now().After(deadline) {
			return response, err
		}
		if err := poll.Pause(ctx, nil, f.b.wait.Interval); err != nil {
			return launch.FleetResponse{}, err
		}
	}
}

// read reads the response: the instance of one attempt, and the errors of others.
func (f *fleets) read(out *ec2.CreateFleetOutput, attempts []launch.Attempt) (response launch.FleetResponse, err error) {
	for _, launched := range out.Instances {
		for _, id := range launched.InstanceIds {
			instance := ec2types.Instance{InstanceId: aws.String(id), InstanceType: launched.InstanceType}
			if o := overridesOf(launched.LaunchTemplateAndOverrides); o != nil {
				instance.SubnetId, instance.Placement = o.SubnetId, &ec2types.Placement{AvailabilityZone: o.AvailabilityZone}
			}
			response.Launched, response.Await = f.accepted(instance, attempts)
		}
	}
	for _, e := range out.Errors {
		err := awsclient.Plain(&smithy.GenericAPIError{Code: aws.ToString(e.ErrorCode), Message: aws.ToString(e.ErrorMessage)})
		var kind, subnet, zone string
		if o := overridesOf(e.LaunchTemplateAndOverrides); o != nil {
			kind, subnet, zone = string(o.InstanceType), aws.ToString(o.SubnetId), aws.ToString(o.AvailabilityZone)
		}
		for _, attempt := range attempts {
			if fits(attempt, kind, subnet, zone) {
				response.Errors = append(response.Errors, launch.AttemptError{Attempt: attempt, Err: err})
			}
		}
	}
	if response.Await == nil && len(response.Errors) == 0 {
		return response, errors.New("the response from EC2 to CreateFleet contains neither an instance nor an error")
	}
	return response, nil
}

func overridesOf(r *ec2types.LaunchTemplateAndOverridesResponse) *ec2types.FleetLaunchTemplateOverrides {
	if r == nil {
		return nil
	}
	return r.Overrides
}

// fits reports whether an attempt has a type and a place, as far as they are known.
func fits(attempt launch.Attempt, kind, subnet, zone string) bool {
	differ := func(want, got string) bool { return want != "" && got != "" && want != got }
	return !differ(attempt.Type, kind) && !differ(attempt.Place.Subnet, subnet) && !differ(attempt.Place.Zone, zone)
}

// accepted records an instance in the ledger. It returns its attempt, and the function
// that waits until the instance runs.
func (f *fleets) accepted(instance ec2types.Instance, attempts []launch.Attempt) (launch.Attempt, func(context.Context) error) {
	f.b.ledger.Add(cleanup.Entry{Kind: cleanup.Instance, Region: f.b.Clients.Region(), ID: aws.ToString(instance.InstanceId)})
	zone := ""
	if instance.Placement != nil {
		zone = aws.ToString(instance.Placement.AvailabilityZone)
	}
	attempt := attempts[0]
	if i := slices.IndexFunc(attempts, func(a launch.Attempt) bool {
		return fits(a, string(instance.InstanceType), aws.ToString(instance.SubnetId), zone)
	}); i >= 0 {
		attempt = attempts[i]
	}
	return attempt, func(ctx context.Context) error {
		err := f.b.awaitListed(ctx, f.client, f.state, instance, attempt)
		if launch.IsRefusal(err) {
			f.b.dropInstance(f.state)
		}
		return err
	}
}

// awaitListed waits until EC2 lists the instance of a fleet, of which the response has
// only the id and the choice, and then until it runs.
func (b *Build) awaitListed(ctx context.Context, client *awsclient.EC2, state multistep.StateBag, instance ec2types.Instance, attempt launch.Attempt) error {
	id := aws.ToString(instance.InstanceId)
	// Cleanup terminates it from here on.
	b.Report.InstanceID, b.Report.InstanceType, b.Report.Market = id, string(instance.InstanceType), string(attempt.Market)
	b.Report.InstanceSeconds, b.launched = 0, time.Now()
	wait := b.wait
	wait.Soon = 0
	if err := wait.Until(ctx, id+" to be listed", func(ctx context.Context) (bool, error) {
		found, err := launch.Describe(ctx, client, id)
		if err == nil {
			instance = found
		}
		return err == nil, err
	}); err != nil {
		return err
	}
	return b.awaitRunning(ctx, client, state, instance, attempt)
}

// fleetInput returns the request of a fleet.
func (b *Build) fleetInput(state multistep.StateBag, template string, attempts []launch.Attempt) (*ec2.CreateFleetInput, error) {
	input := b.Config.FleetInput(uuid.TimeOrderedUUID(), template, attempts)
	labels := maps.Clone(b.Config.RunTags)
	maps.Copy(labels, b.Config.FleetTags)
	maps.Copy(labels, b.Config.LifetimeTags(time.Now()))
	list, err := awscommon.TagMap(labels).EC2Tags(b.Config.Interpolation(), b.Clients.Region(), state)
	if err != nil {
		return nil, fmt.Errorf("rendering the tags of the fleet: %w", err)
	}
	input.TagSpecifications = list.TagSpecifications(ec2types.ResourceTypeFleet)
	return input, nil
}

// createFleet creates a fleet. A cancel does not abort the request, as the id of the
// instance would be lost. After lost responses it looks for the instance and returns
// that, if it finds one.
func (b *Build) createFleet(ctx context.Context, client *awsclient.EC2, input *ec2.CreateFleetInput) (*ec2.CreateFleetOutput, *ec2types.Instance, error) {
	ctx = context.WithoutCancel(ctx)
	for try := 1; ; try++ {
		out, err := client.CreateFleet(ctx, input, awsclient.NoLaunchRetries)
		err = plainRefusal(err)
		switch {
		case !awsclient.IsUnanswered(err):
			return out, nil, err
		case !awsclient.GaveUp(err) && try < lostResponses:
			continue // the same token returns the same fleet
		}
		found, lookErr := b.findLaunched(ctx, client)
		if found != nil {
			return nil, found, nil
		}
		if lookErr != nil {
			err = fmt.Errorf("%w; an instance may be running: search for the tag %s = %s in %s", err, tags.BuildID, b.Config.ID(), b.Clients.Region())
		}
		return nil, nil, err
	}
}

// findLaunched waits until EC2 lists an instance with the build's tag that is not in the
// ledger. Only the request of a fleet whose response was lost can have launched it.
func (b *Build) findLaunched(ctx context.Context, client *awsclient.EC2) (found *ec2types.Instance, err error) {
	err = b.settles().Until(ctx, "the instance of the fleet to be listed", func(ctx context.Context) (bool, error) {
		found, err = b.lostInstance(ctx, client)
		return found != nil, err
	})
	return found, err
}

// templateInput returns the request that creates the launch template of a launch
// request. Its name is unique.
func (b *Build) templateInput(state multistep.StateBag, run *ec2.RunInstancesInput) (*ec2.CreateLaunchTemplateInput, error) {
	token := uuid.TimeOrderedUUID()
	labels := maps.Clone(b.Config.RunTags)
	maps.Copy(labels, b.Config.LifetimeTags(time.Now()))
	list, err := awscommon.TagMap(labels).EC2Tags(b.Config.Interpolation(), b.Clients.Region(), state)
	if err != nil {
		return nil, fmt.Errorf("rendering the tags of the launch template: %w", err)
	}
	return &ec2.CreateLaunchTemplateInput{
		ClientToken: aws.String(token), LaunchTemplateName: aws.String("packer-" + b.Config.ID() + "-" + token),
		LaunchTemplateData: options.LaunchTemplateData(run), TagSpecifications: list.TagSpecifications(ec2types.ResourceTypeLaunchTemplate),
	}, nil
}

// createTemplate creates a launch template and returns its id. A cancel does not abort
// the request. Cleanup looks for the template if all responses are lost.
func (b *Build) createTemplate(ctx context.Context, client *awsclient.EC2, input *ec2.CreateLaunchTemplateInput) (id string, err error) {
	entry := cleanup.Entry{Kind: cleanup.LaunchTemplate, Region: b.Clients.Region(), Name: aws.ToString(input.LaunchTemplateName)}
	b.ledger.Add(entry)
	for try := 1; ; try++ {
		err = b.create(ctx, func(ctx context.Context) error {
			out, err := client.CreateLaunchTemplate(ctx, input, awsclient.OneTry)
			if err == nil {
				id = aws.ToString(out.LaunchTemplate.LaunchTemplateId)
			}
			return err
		})
		if awsclient.IsUnanswered(err) && try < lostResponses && ctx.Err() == nil {
			continue // the same token returns the same template
		}
		if awsclient.IsUnanswered(err) {
			if found, lookErr := cleanup.TemplateNamed(context.WithoutCancel(ctx), client, entry.Name); lookErr == nil && found != "" {
				id, err = found, nil
			}
		}
		switch {
		case err == nil:
			entry.ID = id
			b.ledger.Add(entry)
			err = ctx.Err()
		case !awsclient.IsUnanswered(err) && !awsclient.IsThrottle(err) && try == 1:
			b.ledger.Strike(entry) // the request was refused
		}
		return id, err
	}
}

// removeTemplates removes the launch templates of fleets.
func (b *Build) removeTemplates(ui packersdk.Ui) {
	for _, entry := range b.ledger.Left() {
		if entry.Kind == cleanup.LaunchTemplate {
			b.removeTemporary(ui, entry)
		}
	}
}
