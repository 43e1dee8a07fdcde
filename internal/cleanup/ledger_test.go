// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"reflect"
	"sync"
	"testing"
)

func TestLeftIsInDeletionOrder(t *testing.T) {
	var book Ledger
	snapshot := Entry{Kind: Snapshot, Region: "us-east-1", ID: "snap-1"}
	image := Entry{Kind: Image, Region: "us-east-1", ID: "ami-1"}
	instance := Entry{Kind: Instance, Region: "us-east-1", ID: "i-1"}
	for _, e := range []Entry{snapshot, image, instance, image} {
		book.Add(e)
	}
	want := []Entry{instance, image, snapshot}
	if got := book.Left(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v: an image uses its snapshots", got, want)
	}
	book.Strike(Entry{Kind: Image, Region: "eu-west-1", ID: "ami-1"}) // of another region: no effect
	book.Strike(instance)
	if got := book.Left(); !reflect.DeepEqual(got, want[1:]) {
		t.Errorf("got %v, want %v", got, want[1:])
	}
	if got := book.Images(); !reflect.DeepEqual(got, []Entry{image}) {
		t.Errorf("got images %v, want %v", got, image)
	}
}

func TestDeletionCommands(t *testing.T) {
	for entry, want := range map[Entry]string{
		{Kind: Instance, Region: "eu-west-1", ID: "i-1"}:                   "aws ec2 terminate-instances --instance-ids i-1 --region eu-west-1",
		{Kind: Image, Region: "eu-west-1", ID: "ami-1"}:                    "aws ec2 deregister-image --delete-associated-snapshots --image-id ami-1 --region eu-west-1",
		{Kind: Snapshot, Region: "eu-west-1", ID: "snap-1"}:                "aws ec2 delete-snapshot --snapshot-id snap-1 --region eu-west-1",
		{Kind: KeyPair, Region: "eu-west-1", ID: "key-1", Name: "k"}:       "aws ec2 delete-key-pair --key-pair-id key-1 --region eu-west-1",
		{Kind: KeyPair, Region: "eu-west-1", Name: "k"}:                    "aws ec2 delete-key-pair --key-name k --region eu-west-1",
		{Kind: KeyPair, Region: "eu-west-1", Name: "k; rm x"}:              "aws ec2 delete-key-pair --key-name 'k; rm x' --region eu-west-1",
		{Kind: LaunchTemplate, Region: "eu-west-1", ID: "lt-1", Name: "t"}: "aws ec2 delete-launch-template --launch-template-id lt-1 --region eu-west-1",
		{Kind: LaunchTemplate, Region: "eu-west-1", Name: "t"}:             "aws ec2 delete-launch-template --launch-template-name t --region eu-west-1",
		{Kind: InstanceProfile, Region: Global, Name: "p"}: "aws iam remove-role-from-instance-profile --instance-profile-name p --role-name p; " +
			"aws iam delete-instance-profile --instance-profile-name p",
		{Kind: Role, Region: Global, ID: "p", Name: "p"}: "aws iam delete-role-policy --role-name p --policy-name p; aws iam delete-role --role-name p",
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
			book.Add(Entry{Kind: Image, Region: "r", ID: id})
			book.Strike(Entry{Kind: Image, Region: "r", ID: id})
		})
	}
	wg.Wait()
	if left := book.Left(); len(left) != 0 {
		t.Errorf("got %v, want nothing", left)
	}
}

// TestEntryByNameThenID: a resource is recorded by name before it is created, and gets
// its ID later. Either removes it from the ledger.
func TestEntryByNameThenID(t *testing.T) {
	for _, by := range []Entry{{Kind: KeyPair, Region: "r", Name: "packer_1"}, {Kind: KeyPair, Region: "r", ID: "key-1"}} {
		var book Ledger
		book.Add(Entry{Kind: KeyPair, Region: "r", Name: "packer_1"})
		book.Add(Entry{Kind: KeyPair, Region: "r", Name: "packer_1", ID: "key-1"})
		want := Entry{Kind: KeyPair, Region: "r", Name: "packer_1", ID: "key-1"}
		if left := book.Left(); !reflect.DeepEqual(left, []Entry{want}) {
			t.Errorf("got %v, want %v", left, want)
		}
		if book.Made(want).IsZero() {
			t.Error("got no creation time")
		}
		book.Strike(by)
		if left := book.Left(); len(left) > 0 {
			t.Errorf("got %v after striking %v, want nothing", left, by)
		}
	}
}

// TestSameNameOfTwoKinds: a role and an instance profile can have the same name.
func TestSameNameOfTwoKinds(t *testing.T) {
	var book Ledger
	profile, role := Entry{Kind: InstanceProfile, Region: Global, Name: "packer-1"}, Entry{Kind: Role, Region: Global, Name: "packer-1"}
	book.Add(role)
	book.Add(profile)
	if left := book.Left(); !reflect.DeepEqual(left, []Entry{profile, role}) {
		t.Errorf("got %v, want the profile before its role", left)
	}
	book.Strike(profile)
	if left := book.Left(); !reflect.DeepEqual(left, []Entry{role}) {
		t.Errorf("got %v, want the role", left)
	}
}

// Two keys of an image are granted under one name.
func TestGrantsOfTwoKeys(t *testing.T) {
	var book Ledger
	for _, key := range []string{"one", "two"} {
		entry := Entry{Kind: Grant, Region: "eu-west-1", Name: "ethminer-b-ami-1", For: "role", Of: key}
		book.Add(entry)
		entry.ID = "grant-of-" + key
		book.Add(entry)
	}
	left := book.Left()
	if len(left) != 2 || left[0].ID == left[1].ID {
		t.Errorf("got %v, want both grants", left)
	}
}
