// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	registryimage "github.com/hashicorp/packer-plugin-sdk/packer/registry/image"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/steps"
	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// Artifact is a set of images, one per region.
type Artifact struct {
	images  map[string]distribute.Image // by region
	others  []distribute.Image          // copies of other accounts
	state   map[string]any
	clients *awsclient.Clients
	text    *summary.Text
	// ec2Of returns the client of an account and region; an empty account is the build's.
	ec2Of func(account, region string) *awsclient.EC2
	// Command returns the AWS CLI command that removes a resource.
	command func(cleanup.Entry) string
	// deregister makes Destroy remove the images.
	deregister bool
}

var _ packersdk.Artifact = (*Artifact)(nil)

// BuilderId is "ethminer.ami".
func (*Artifact) BuilderId() string { return artifact.BuilderID }

// Files is empty, as images are not files.
func (*Artifact) Files() []string { return nil }

// Id is "region:ami-id,region:ami-id", sorted, as in amazon-ebs.
func (a *Artifact) Id() string {
	return strings.Join(a.lines(":"), ",")
}

// String is printed by Packer at the end of a build: the summary, which starts with
// amazon-ebs's lines. If a later artifact prints the summary, it is one line.
func (a *Artifact) String() string { return a.text.String() }

func (a *Artifact) lines(separator string) []string {
	lines := make([]string, 0, len(a.images))
	for region, image := range a.images {
		lines = append(lines, region+separator+image.ID)
	}
	sort.Strings(lines)
	return lines
}

// State returns the value of one of the documented keys, else nil.
func (a *Artifact) State(name string) any {
	switch name {
	case registryimage.ArtifactStateURI:
		return a.registryImages()
	case artifact.StateRemoval:
		return a.removal()
	case artifact.StateSummary:
		return a.text.Claim()
	}
	return a.state[name]
}

// registryImages returns the images to store in HCP Packer.
func (a *Artifact) registryImages() any {
	images, err := registryimage.FromMappedData(a.amis(), func(region, id any) (*registryimage.Image, error) {
		return &registryimage.Image{
			ImageID: id.(string), ProviderName: "aws", ProviderRegion: region.(string),
			SourceImageID: a.sourceImage(),
		}, nil
	})
	if err != nil {
		return nil
	}
	return images
}

func (a *Artifact) sourceImage() string {
	data, _ := a.state[steps.KeyGeneratedData].(map[string]any)
	id, _ := data["SourceAMI"].(string)
	return id
}

func (a *Artifact) amis() map[string]string {
	amis := make(map[string]string, len(a.images))
	for region, image := range a.images {
		amis[region] = image.ID
	}
	return amis
}

// Destroy is called when a post-processor fails, or does not keep its input. It
// keeps the images unless deregister_on_destroy is set.
//
// It does not report that as an error: the SDK cannot decode an error of
// Destroy, and Packer would print the decoding error instead. The commands that
// remove the images are in the log, and under artifact.StateRemoval.
func (a *Artifact) Destroy() error {
	if !a.deregister {
		log.Printf("[WARN] keeping the images (deregister_on_destroy is false). To remove them:\n%s", a.removal())
		return nil
	}
	ctx, cancel := cleanup.Context()
	defer cancel()
	err := a.remove(ctx)
	if err != nil {
		log.Printf("[ERROR] removing the images: %s. To remove them by hand:\n%s", err, a.removal())
	}
	return err
}

func (a *Artifact) remove(ctx context.Context) error {
	var failures []error
	var book cleanup.Ledger
	for _, image := range a.all() {
		if image.Borrowed {
			continue
		}
		remover := cleanup.Remover{Client: a.ec2Of(image.Account, image.Region), Ledger: &book}
		failures = append(failures, remover.Remove(ctx, cleanup.Entry{Kind: cleanup.Image, Region: image.Region, ID: image.ID, Account: image.Account, Seen: true}))
	}
	return errors.Join(failures...)
}

// all returns the images of all accounts.
func (a *Artifact) all() []distribute.Image {
	return slices.AppendSeq(slices.Clone(a.others), maps.Values(a.images))
}

// removal returns the commands that remove the images with their snapshots, one per
// line.
func (a *Artifact) removal() string {
	var book cleanup.Ledger
	for _, image := range a.all() {
		if image.Borrowed {
			continue
		}
		book.Add(cleanup.Entry{Kind: cleanup.Image, Region: image.Region, ID: image.ID, Account: image.Account})
	}
	entries := book.Left()
	slices.SortStableFunc(entries, func(x, y cleanup.Entry) int {
		return cmp.Or(strings.Compare(x.Account, y.Account), strings.Compare(x.Region, y.Region))
	})
	var commands []string
	account := ""
	for _, entry := range entries {
		if entry.Account != account { // the commands of the build's account come first
			account = entry.Account
			commands = append(commands, "# with the credentials of account "+account)
		}
		commands = append(commands, a.command(entry))
	}
	return strings.Join(commands, "\n")
}

// cancelled returns the message of a build that was cancelled when its images were
// complete: what is kept, and what can be done with it.
func (a *Artifact) cancelled(buildID string) string {
	return fmt.Sprintf("Cancelled when the images were complete, so they are kept, and Packer skips the post-processors:\n  %s\n"+
		"To remove the images:\n  %s\nTo use them, set build_id = %q and run the same build again.",
		strings.Join(a.lines(": "), "\n  "), strings.ReplaceAll(a.removal(), "\n", "\n  "), buildID)
}

// saySaved returns the message that images have been created and are kept.
func saySaved(images int) string {
	if images == 1 {
		return "Created 1 image. It is kept even if a post-processor fails"
	}
	return fmt.Sprintf("Created %d images. They are kept even if a post-processor fails", images)
}

// newArtifact hands over the images of a build and returns them as an artifact.
func newArtifact(j *steps.Build, state multistep.StateBag) (*Artifact, error) {
	images := map[string]distribute.Image{}
	j.Report.Images, j.Report.Snapshots = map[string]string{}, map[string][]string{}
	for _, image := range j.Images {
		images[image.Region] = image
		j.Report.Images[image.Region] = image.ID
		j.Report.Snapshots[image.Region] = image.Snapshots
	}
	for _, image := range j.AccountImages {
		if j.Report.Accounts == nil {
			j.Report.Accounts = map[string]map[string]string{}
		}
		if j.Report.Accounts[image.Account] == nil {
			j.Report.Accounts[image.Account] = map[string]string{}
		}
		j.Report.Accounts[image.Account][image.Region] = image.ID
	}
	j.HandOver()
	generated, _ := state.Get(steps.KeyGeneratedData).(map[string]any)
	j.Report.SourceImage, _ = generated["SourceAMI"].(string)
	j.Report.CopiedFrom = j.Inherited[tags.CopiedFrom]
	text, err := j.Report.JSON()
	if err != nil {
		return nil, fmt.Errorf("writing the build's report: %w", err)
	}
	build, err := summary.Decode([]byte(text))
	if err != nil {
		return nil, err
	}
	checked := ""
	if j.CheckedLater {
		checked = j.Config.EthminerCFN.Text()
	}
	return &Artifact{
		images:     images,
		others:     j.AccountImages,
		ec2Of:      j.EC2Of,
		clients:    j.Clients,
		text:       &summary.Text{Build: &build, Short: build.ImageCount() + ", listed below"},
		command:    j.Command,
		deregister: j.Config.DeregisterOnDestroy,
		state: map[string]any{
			steps.KeyGeneratedData:     generated,
			artifact.StateBuild:        text,
			artifact.StateRehearsal:    j.Config.Rehearsal,
			artifact.StateRehearsalDir: j.Config.RehearsalState,
			artifact.StateChecked:      checked,
		},
	}, nil
}
