// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"fmt"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// Keys of the state bag that packer-plugin-amazon's steps share with ours.
const (
	keyClient         = "ec2v2"
	keyUI             = "ui"
	keyError          = "error"
	keyInstance       = "instance"
	keyInstanceID     = "instance_id"
	keySourceImage    = "source_image"
	keyVPC            = "vpc_id"
	keySubnet         = "subnet_id"
	keyZone           = "availability_zone"
	keySecurityGroups = "securityGroupIds"
	keyProfile        = "iamInstanceProfile"
	keyCommunicator   = "communicator"
	keyGeneratedData  = "generated_data"
	keyBuild          = "ethminer_build"
)

// build is what our own steps share, apart from the state bag's loose keys.
type build struct {
	config  *Config
	clients *ec2api.Clients
	wait    poll.Waiter
	waits   waits
	ledger  *ledger.Ledger
	report  report

	userData string // the instance's, in base64 as RunInstances takes it

	vpc       string         // the instance's, empty for the default one
	places    []launch.Place // where it may run
	prices    *launch.Prices
	launching launch.Patience
	watching  time.Duration // how often a spot instance is looked after
	lost      error         // EC2 has taken the instance back
	admitted  []string      // the address blocks that the temporary security group lets in

	image  distribute.Image   // the image of the build's region, or the intermediary
	images []distribute.Image // what the artifact will name

	measured string   // the benchmark's rate, for people
	done     bool     // every step has run
	spared   []string // regions with a failed image of the build, which only checks
	checked  bool     // the preflight has found nothing, and nothing else was asked for

	patience     distribute.Backoff
	sourced      bool                        // image was there before this run
	intermediary bool                        // image is only there to be copied
	adopted      map[string]distribute.Image // by region, what was there before this run
	unreleased   []distribute.Image          // what was there, and is still marked as being built
	made         map[string]distribute.Image // by region, what a first try of stepDistribute has finished
	inherited    map[string]string           // tags that copies take over from an adopted image
	replaces     map[string]bool             // regions where the name was taken (force_deregister)
	committed    bool                        // the images stay, whatever comes

	held string // what on_copy_failure = "retry-later" has left, a line each
}

// takesBack says that the build's images are to be removed: it has failed, and
// has neither left them to another run nor replaced others by them. A cancel that comes after it, while steps
// clean up, does not make half of the images go.
func (b *build) takesBack() bool { return !b.done && b.held == "" && !b.committed }

func buildOf(state multistep.StateBag) *build    { return state.Get(keyBuild).(*build) }
func uiOf(state multistep.StateBag) packersdk.Ui { return state.Get(keyUI).(packersdk.Ui) }

// halt ends the build with an error that says what was being done.
func halt(state multistep.StateBag, format string, args ...any) multistep.StepAction {
	err := fmt.Errorf(format, args...)
	state.Put(keyError, err)
	uiOf(state).Error(err.Error())
	return multistep.ActionHalt
}
