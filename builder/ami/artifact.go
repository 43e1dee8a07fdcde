// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sort"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	registryimage "github.com/hashicorp/packer-plugin-sdk/packer/registry/image"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
)

// BuilderID tells post-processors whose artifact it is.
const BuilderID = "ethminer.ami"

// State keys of the artifact, besides generated_data and HCP's.
const (
	// StateBuild holds a JSON text, the build's report.
	StateBuild = "ethminer.build"
	// StateRehearsal is true for images that exist in a rehearsal only.
	StateRehearsal = "ethminer.rehearsal"
	// StateRehearsalDir is the folder of the rehearsal's server.
	StateRehearsalDir = "ethminer.rehearsal_state"
	// StateRemoval holds the AWS CLI commands that remove the images and their
	// snapshots, a line each.
	StateRemoval = "ethminer.removal"
)

// Artifact is a set of images, one a region.
type Artifact struct {
	images  map[string]distribute.Image // by region
	state   map[string]any
	clients *ec2api.Clients
	// missing are the regions that were to have an image and have none.
	missing []string
	// measured is the benchmark's rate and how it came about; empty without one.
	measured string
	// command is the AWS CLI's that removes a resource.
	command func(ledger.Entry) string
	// deregister makes Destroy remove the images.
	deregister bool
}

var _ packersdk.Artifact = (*Artifact)(nil)

// BuilderId is "ethminer.ami".
func (*Artifact) BuilderId() string { return BuilderID }

// Files is empty: images are no files.
func (*Artifact) Files() []string { return nil }

// Id is "region:ami-id,region:ami-id", sorted, as amazon-ebs has it.
func (a *Artifact) Id() string {
	return strings.Join(a.lines(":"), ",")
}

// String is what Packer prints at a build's end: amazon-ebs's lines, the
// regions that were given up, then the rate that the images were measured at.
func (a *Artifact) String() string {
	text := "AMIs were created:\n" + strings.Join(a.lines(": "), "\n") + "\n"
	for _, region := range a.missing {
		text += region + ": no image (on_copy_failure = \"keep\")\n"
	}
	if a.measured != "" {
		text += "hash rate: " + a.measured + "\n"
	}
	return text
}

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
	case StateRemoval:
		return a.removal()
	}
	return a.state[name]
}

// registryImages is what HCP Packer stores of a build.
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
	data, _ := a.state[keyGeneratedData].(map[string]any)
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

// Destroy is called when a post-processor fails, or does not keep its input.
// An hour's work is not thrown away for that: the images stay, unless
// deregister_on_destroy is set.
//
// It returns no error to say so: the SDK cannot decode an error of Destroy, and
// Packer would print the decoder's complaint instead. The commands that remove
// the images are in the log, and under StateRemoval.
func (a *Artifact) Destroy() error {
	if !a.deregister {
		log.Printf("[WARN] the images are kept (deregister_on_destroy is false). To remove them:\n%s", a.removal())
		return nil
	}
	ctx, cancel := cleanupContext()
	defer cancel()
	err := a.remove(ctx)
	if err != nil {
		log.Printf("[ERROR] removing the images: %s. To remove them by hand:\n%s", err, a.removal())
	}
	return err
}

func (a *Artifact) remove(ctx context.Context) error {
	var failures []error
	var book ledger.Ledger
	for region, image := range a.images {
		if image.Borrowed {
			continue
		}
		failures = append(failures, distribute.Remove(ctx, a.clients.EC2(region), region, image.ID, &book))
	}
	return errors.Join(failures...)
}

// removal returns the commands that remove the images, a line each.
func (a *Artifact) removal() string {
	var book ledger.Ledger
	for region, image := range a.images {
		if image.Borrowed {
			continue
		}
		book.Add(ledger.Entry{Kind: ledger.Image, Region: region, ID: image.ID})
		for _, snapshot := range image.Snapshots {
			book.Add(ledger.Entry{Kind: ledger.Snapshot, Region: region, ID: snapshot})
		}
	}
	entries := book.Left()
	sort.SliceStable(entries, func(i, j int) bool { return entries[i].Region < entries[j].Region })
	commands := make([]string, len(entries))
	for i, entry := range entries {
		commands[i] = a.command(entry)
	}
	return strings.Join(commands, "\n")
}

// saySaved says that images outlast the build.
func saySaved(images int) string {
	if images == 1 {
		return "1 image is made, and stays also if a post-processor fails"
	}
	return fmt.Sprintf("%d images are made, and stay also if a post-processor fails", images)
}
