// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ledger

import (
	"reflect"
	"sync"
	"testing"
)

func TestLeftIsInTheOrderOfDeletion(t *testing.T) {
	var book Ledger
	snapshot := Entry{Snapshot, "us-east-1", "snap-1"}
	image := Entry{Image, "us-east-1", "ami-1"}
	instance := Entry{Instance, "us-east-1", "i-1"}
	for _, e := range []Entry{snapshot, image, instance, image} {
		book.Add(e)
	}
	want := []Entry{instance, image, snapshot}
	if got := book.Left(); !reflect.DeepEqual(got, want) {
		t.Errorf("left %v, want %v: an image holds its snapshots", got, want)
	}
	book.Strike("eu-west-1", "ami-1") // another region's: not this one
	book.Strike("us-east-1", "i-1")
	if got := book.Left(); !reflect.DeepEqual(got, want[1:]) {
		t.Errorf("left %v, want %v", got, want[1:])
	}
	if got := book.Images(); !reflect.DeepEqual(got, []Entry{image}) {
		t.Errorf("images %v, want %v", got, image)
	}
}

func TestCommandsDeleteWhatTheyName(t *testing.T) {
	for entry, want := range map[Entry]string{
		{Instance, "eu-west-1", "i-1"}:    "aws ec2 terminate-instances --instance-ids i-1 --region eu-west-1",
		{Image, "eu-west-1", "ami-1"}:     "aws ec2 deregister-image --image-id ami-1 --region eu-west-1",
		{Snapshot, "eu-west-1", "snap-1"}: "aws ec2 delete-snapshot --snapshot-id snap-1 --region eu-west-1",
	} {
		if got := entry.Command(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	var book Ledger
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			id := string(rune('a' + i))
			book.Add(Entry{Image, "r", id})
			book.Strike("r", id)
		})
	}
	wg.Wait()
	if left := book.Left(); len(left) != 0 {
		t.Errorf("left %v, want nothing", left)
	}
}
