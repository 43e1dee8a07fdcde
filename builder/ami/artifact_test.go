// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
)

func testArtifact() *Artifact {
	return &Artifact{
		images: map[string]distribute.Image{
			"us-east-1":    {Region: "us-east-1", ID: "ami-2", Snapshots: []string{"snap-2"}},
			"eu-central-1": {Region: "eu-central-1", ID: "ami-1", Snapshots: []string{"snap-1"}},
		},
		text: &summary.Text{Short: "2 AMIs, listed below", Build: &summary.Build{Report: artifact.Report{
			Images: map[string]string{"us-east-1": "ami-2", "eu-central-1": "ami-1"},
		}}},
		state:   map[string]any{"ethminer.rehearsal": true},
		command: cleanup.Entry.Command,
	}
}

func TestArtifactMatchesAmazonEBS(t *testing.T) {
	a := testArtifact()
	if got, want := a.Id(), "eu-central-1:ami-1,us-east-1:ami-2"; got != want {
		t.Errorf("Id() = %q, want %q", got, want)
	}
	if got, want := a.String(), "AMIs were created:\neu-central-1: ami-1\nus-east-1: ami-2\n"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if a.State(artifact.StateSummary) != true || a.State(artifact.StateSummary) != false || a.String() != "2 AMIs, listed below" {
		t.Errorf("after the summary was claimed, the artifact prints %q", a)
	}
	if a.State("ethminer.rehearsal") != true || a.State("unknown") != nil {
		t.Errorf("got states %v and %v, want true and nil", a.State("ethminer.rehearsal"), a.State("unknown"))
	}
}

// TestDestroyKeepsImages: Packer core calls Destroy when a post-processor fails.
func TestDestroyKeepsImages(t *testing.T) {
	a := testArtifact() // it has no clients: a call would panic
	if err := a.Destroy(); err != nil {
		t.Errorf("got Destroy error %s, want none: the SDK cannot decode it", err)
	}
	want := []string{
		"aws ec2 deregister-image --delete-associated-snapshots --image-id ami-1 --region eu-central-1",
		"aws ec2 deregister-image --delete-associated-snapshots --image-id ami-2 --region us-east-1",
	}
	if got := a.State("ethminer.removal"); got != strings.Join(want, "\n") {
		t.Errorf("got removal commands\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
