// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
)

func testArtifact() *Artifact {
	return &Artifact{
		images: map[string]distribute.Image{
			"us-east-1":    {Region: "us-east-1", ID: "ami-2", Snapshots: []string{"snap-2"}},
			"eu-central-1": {Region: "eu-central-1", ID: "ami-1", Snapshots: []string{"snap-1"}},
		},
		state:   map[string]any{StateRehearsal: true},
		command: ledger.Entry.Command,
	}
}

func TestArtifactNamesItsImagesAsAmazonEBSDoes(t *testing.T) {
	a := testArtifact()
	if got, want := a.Id(), "eu-central-1:ami-1,us-east-1:ami-2"; got != want {
		t.Errorf("Id() = %q, want %q", got, want)
	}
	if got, want := a.String(), "AMIs were created:\neu-central-1: ami-1\nus-east-1: ami-2\n"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if a.State(StateRehearsal) != true || a.State("unknown") != nil {
		t.Errorf("State is %v and %v, want true and nil", a.State(StateRehearsal), a.State("unknown"))
	}
}

// Core calls Destroy when a post-processor fails.
func TestDestroyKeepsTheImages(t *testing.T) {
	a := testArtifact() // it has no clients: a call would panic
	if err := a.Destroy(); err != nil {
		t.Errorf("Destroy fails: %s; the SDK cannot decode its error", err)
	}
	want := []string{
		"aws ec2 deregister-image --image-id ami-1 --region eu-central-1",
		"aws ec2 delete-snapshot --snapshot-id snap-1 --region eu-central-1",
		"aws ec2 deregister-image --image-id ami-2 --region us-east-1",
		"aws ec2 delete-snapshot --snapshot-id snap-2 --region us-east-1",
	}
	if got := a.State(StateRemoval); got != strings.Join(want, "\n") {
		t.Errorf("to remove them:\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
