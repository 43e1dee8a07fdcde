// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package steps holds the steps of a build, which the builder runs in the order of its
// plan. A step is one file, with Run and, if it must undo anything, Cleanup. Packer
// runs the clean-ups in reverse order. Build is the state that the steps share.
package steps

import (
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/version"
)

// Keys of the state bag shared with packer-plugin-amazon's steps.
const (
	keyClient         = "ec2v2"
	keyHook           = "hook"
	keyAWSConfig      = "aws_config"
	keyRegion         = "region"
	keyUI             = "ui"
	KeyError          = "error"
	keyInstance       = "instance"
	keyInstanceID     = "instance_id"
	keySourceImage    = "source_image"
	keySecurityGroups = "securityGroupIds"
	keyProfile        = "iamInstanceProfile"
	keyCommunicator   = "communicator"
	KeyGeneratedData  = "generated_data"
	keyBuild          = "ethminer_build"
)

// Pace is how long a build retries and waits. Zero fields have defaults.
type Pace struct {
	// Patience is the backoff for requests that AWS may accept later.
	Patience distribute.Backoff
	// Launching is the backoff between launch attempts.
	Launching launch.Patience
	// Watching is the interval of checks for the loss of the instance; 0 means
	// watchInterval.
	Watching time.Duration
	// Settling is how long EC2 may not find a new resource; 0 means AWS's default.
	Settling time.Duration
	// Removal is how long EC2 may refuse a removal, or still list a resource whose
	// removal it has accepted; 0 means cleanup's default.
	Removal time.Duration
}

// Build is the state that the plugin's own steps share.
type Build struct {
	Pace
	Config  *options.Config
	Clients *awsclient.Clients
	Report  artifact.Report
	Waits   poll.Tally

	Images []distribute.Image // the images of the artifact
	// AccountImages are the copies of other accounts.
	AccountImages []distribute.Image
	Inherited     map[string]string // tags that copies inherit from an adopted image
	Sourced       bool              // the image to copy existed before this run
	Done          bool              // all steps have run
	Begun         bool              // a step has run that may create resources
	// Checked is set if the preflight has passed and preflight is "only",
	// CheckedLater if it has checked ethminer_cfn.
	Checked, CheckedLater bool

	others map[string]*awsclient.Clients // of the roles in other accounts, by account
	wait   poll.Waiter
	ledger *cleanup.Ledger
	prices *launch.Prices

	vpc      string         // the instance's VPC; empty for the default VPC
	places   []launch.Place // where the instance may run
	admitted []string       // CIDR blocks that the temporary security group admits
	userData string         // the instance's, in base64 for RunInstances
	launched time.Time      // when the instance was launched
	runs     time.Time      // running since; zero if not running
	lost     error          // the loss of the instance, if any

	imageTook    time.Duration               // how long image took to become available; 0 if unknown
	image        distribute.Image            // the image of the build's region, or the intermediary
	intermediary bool                        // image was created only to be copied
	adopted      map[string]distribute.Image // by region, images from before this run
	mu           sync.Mutex                  // guards unreleased while accounts are searched
	unreleased   []distribute.Image          // adopted images that are still tagged as building
	spared       []string                    // regions with a failed image, kept as the build only runs the preflight
	freed        map[string]bool             // regions where the build has deregistered an image of its name
	made         map[string]distribute.Image // by region, images that an earlier run of Distribute has finished
	madeThere    map[string]distribute.Image // by account and region, copies that an earlier run of CopyAccounts has finished
	replaces     map[string]bool             // regions where the name is in use (force_deregister)
	committed    bool                        // the images are kept, even if the build fails
	given        options.Config              // the configuration before the steps change it
	tests        *launchTests                // nil without a launch test
	test         *launchTest                 // the test that this build is, if it is one
	decided      func()                      // publishes the verdict of that test
	verdicts     map[string]string           // by region, the tag with the verdict of an image from before this run
	cleared      bool                        // the launch tests allow to share the images
	held         string                      // resources kept by on_copy_failure = "retry-later", one per line
}

// NewBuild returns the state of a build that has not begun.
func NewBuild(c *options.Config, clients *awsclient.Clients, p Pace) *Build {
	if p.Launching.Tries == 0 {
		p.Launching = launch.Default
	}
	if p.Patience.Tries == 0 {
		p.Patience = distribute.Patience
	}
	b := &Build{
		Pace:    p,
		Config:  c,
		Clients: clients,
		Report: artifact.Report{
			BuildID:       c.ID(),
			PluginVersion: version.PluginVersion.FormattedVersion(),
			StartedAt:     time.Now().UTC().Truncate(time.Second),
			Rehearsal:     c.Rehearsal,
			BuildRegion:   clients.Region(),
			Regions:       c.ImageRegions(clients.Region()),
		},
		Inherited: map[string]string{},
		wait:      c.Waiter(),
		ledger:    new(cleanup.Ledger),
		prices:    c.PriceList(clients, clients.Region()),
		adopted:   map[string]distribute.Image{},
		freed:     map[string]bool{},
		made:      map[string]distribute.Image{},
		madeThere: map[string]distribute.Image{},
		others:    map[string]*awsclient.Clients{},
		replaces:  map[string]bool{},
		verdicts:  map[string]string{},
		given:     *c,
	}
	b.wait.Note = b.Waits.Note
	for _, a := range c.AMIAccounts {
		b.others[a.ID] = clients.Assume(a.Role())
	}
	return b
}

// NewState returns the state bag of a build.
func NewState(b *Build, ui packersdk.Ui, hook packersdk.Hook) multistep.StateBag {
	state := new(multistep.BasicStateBag)
	state.Put(keyBuild, b)
	state.Put(keyUI, ui)
	state.Put(keyHook, hook)
	state.Put(keyClient, b.Clients.EC2(b.Clients.Region()))
	state.Put(keyAWSConfig, b.Clients.Config())
	state.Put(keyRegion, b.Clients.Region())
	return state
}

// takesBack reports whether to remove the build's images: the build has failed,
// has not kept them for another run, and has not replaced others by them. A later
// cancel, while steps clean up, does not change the result.
func (b *Build) takesBack() bool { return !b.Done && b.held == "" && !b.committed }

// Started reports whether the build has launched an instance, or copies an image.
func (b *Build) Started() bool { return b.Report.InstanceID != "" || b.Sourced }

// BuildOf returns the build of a state bag.
func BuildOf(state multistep.StateBag) *Build { return state.Get(keyBuild).(*Build) }

// UIOf returns the user interface of a state bag.
func UIOf(state multistep.StateBag) packersdk.Ui { return state.Get(keyUI).(packersdk.Ui) }

// Halt ends the build with an error that names the operation.
func Halt(state multistep.StateBag, format string, args ...any) multistep.StepAction {
	err := fmt.Errorf(format, args...)
	state.Put(KeyError, err)
	UIOf(state).Error(err.Error())
	return multistep.ActionHalt
}

// noCleanup is for steps without clean-up.
type noCleanup struct{}

func (noCleanup) Cleanup(multistep.StateBag) {}

// endpoint returns the rehearsal's endpoint; empty for a build on AWS.
func (b *Build) endpoint() string {
	if !b.Config.Rehearsal {
		return ""
	}
	return aws.ToString(b.Clients.Config().BaseEndpoint)
}

// awsCLI returns the start of an AWS CLI command.
func (b *Build) awsCLI() string {
	if at := b.endpoint(); at != "" {
		return "aws --endpoint-url " + at
	}
	return "aws"
}

// CLI points the AWS CLI commands in a text at the endpoint of a rehearsal, so
// that they never reach a real account.
func (b *Build) CLI(text string) string { return awsclient.PointCommands(text, b.endpoint()) }

// Command returns the AWS CLI command that deletes a resource.
func (b *Build) Command(entry cleanup.Entry) string { return b.CLI(entry.Command()) }

// onSpot reports whether the instance is a spot instance.
func (b *Build) onSpot() bool { return b.Report.Market == string(launch.Spot) }

// ran records that the instance is no longer running. It may be called more than
// once.
func (b *Build) ran() {
	if b.runs.IsZero() {
		return
	}
	b.Report.Bill(time.Since(b.runs))
	b.runs = time.Time{}
}
