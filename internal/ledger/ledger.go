// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package ledger knows what a build has created in AWS and has neither deleted
// nor handed over. An id goes in before anything waits on it.
package ledger

import (
	"fmt"
	"slices"
	"sync"
)

// Kind is a sort of resource.
type Kind string

// What a build creates by itself. Key pair, security group and instance
// profile are packer-plugin-amazon's steps' own to delete.
const (
	Instance Kind = "instance"
	Image    Kind = "image"
	Snapshot Kind = "snapshot"
)

// Entry is one resource.
type Entry struct {
	Kind   Kind
	Region string
	ID     string
}

// Command returns the AWS CLI command that deletes the resource.
func (e Entry) Command() string {
	verb := map[Kind]string{
		Instance: "terminate-instances --instance-ids",
		Image:    "deregister-image --image-id",
		Snapshot: "delete-snapshot --snapshot-id",
	}[e.Kind]
	return fmt.Sprintf("aws ec2 %s %s --region %s", verb, e.ID, e.Region)
}

// Ledger is safe for use by several goroutines; its zero value is empty.
type Ledger struct {
	mu      sync.Mutex
	entries []Entry
}

// Add records a resource that now exists.
func (l *Ledger) Add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, known := range l.entries {
		if known == e {
			return
		}
	}
	l.entries = append(l.entries, e)
}

// Strike removes the resource of that id: it is deleted, or another's from now
// on (an image that the artifact names).
func (l *Ledger) Strike(region, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.entries[:0]
	for _, e := range l.entries {
		if e.Region != region || e.ID != id {
			kept = append(kept, e)
		}
	}
	l.entries = kept
}

// Left returns what is still recorded in the order in which it can be deleted:
// instances, images, then the snapshots that images hold.
func (l *Ledger) Left() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	rank := map[Kind]int{Instance: 0, Image: 1, Snapshot: 2}
	left := slices.Clone(l.entries)
	slices.SortStableFunc(left, func(a, b Entry) int { return rank[a.Kind] - rank[b.Kind] })
	return left
}

// Images returns the images that are still recorded.
func (l *Ledger) Images() []Entry {
	return slices.DeleteFunc(l.Left(), func(e Entry) bool { return e.Kind != Image })
}
