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

// What a build creates.
const (
	Instance      Kind = "instance"
	Image         Kind = "image"
	Snapshot      Kind = "snapshot"
	Volume        Kind = "volume"
	SecurityGroup Kind = "security-group"
	KeyPair       Kind = "key-pair"
)

// kinds are in the order in which they can be removed: an instance holds its
// volumes, group and key, an image its snapshots.
var kinds = []Kind{Instance, Image, Snapshot, Volume, SecurityGroup, KeyPair}

// Entry is one resource.
type Entry struct {
	Kind   Kind
	Region string
	ID     string
}

// Command returns the AWS CLI command that deletes the resource.
func (e Entry) Command() string {
	verb := map[Kind]string{
		Instance:      "terminate-instances --instance-ids",
		Image:         "deregister-image --image-id",
		Snapshot:      "delete-snapshot --snapshot-id",
		Volume:        "delete-volume --volume-id",
		SecurityGroup: "delete-security-group --group-id",
		KeyPair:       "delete-key-pair --key-pair-id",
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

// Left returns what is still recorded in the order in which it can be deleted.
func (l *Ledger) Left() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := slices.Clone(l.entries)
	slices.SortStableFunc(left, func(a, b Entry) int { return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind) })
	return left
}

// Images returns the images that are still recorded.
func (l *Ledger) Images() []Entry {
	return slices.DeleteFunc(l.Left(), func(e Entry) bool { return e.Kind != Image })
}
