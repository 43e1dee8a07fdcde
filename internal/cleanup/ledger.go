// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
)

// Kind is a kind of resource.
type Kind string

// The kinds of resources that a build creates.
const (
	Instance      Kind = "instance"
	Image         Kind = "image"
	Snapshot      Kind = "snapshot"
	Volume        Kind = "volume"
	SecurityGroup Kind = "security-group"
	KeyPair       Kind = "key-pair"
	// LaunchTemplate is the template of a fleet.
	LaunchTemplate Kind = "launch-template"

	// IAM resources, which have no region: Global.
	InstanceProfile Kind = "instance-profile"
	Role            Kind = "role"
)

// kinds are in the order of removal: an instance uses its volumes, group and key,
// an image its snapshots, an instance profile its role.
var kinds = append(slices.Clone(shares), Instance, Image, Snapshot, Volume, SecurityGroup, KeyPair, LaunchTemplate, InstanceProfile, Role)

// Global is the region of resources without a region.
const Global = "global"

// Entry is one resource, identified by its ID or, until AWS has returned that, by
// the name chosen by the build.
type Entry struct {
	Kind   Kind
	Region string // Global for IAM's
	ID     string
	Name   string
	// Seen is true if AWS has returned the resource, so that it cannot appear later.
	Seen bool
	// Snapshots is the number of snapshots that a pending image will have; 0 if
	// unknown.
	Snapshots int
	// Account owns the resource; empty for the build's.
	Account string
	// For is the account or the principal that a share is for, Of the key of a grant.
	For, Of string
}

// Label returns the ID, or the name if the ID is unknown.
func (e Entry) Label() string { return cmp.Or(e.ID, e.Name) }

// key identifies a resource; a role may have the same name as a profile.
func (e Entry) key(label string) string {
	return e.Account + " " + e.Region + " " + string(e.Kind) + " " + label + " " + e.For + " " + e.Of
}

// same reports whether both are the same resource.
func (e Entry) same(o Entry) bool {
	return e.Kind == o.Kind && e.Region == o.Region && e.Account == o.Account && e.For == o.For && e.Of == o.Of && (e.ID != "" && e.ID == o.ID || e.Name != "" && e.Name == o.Name)
}

// Service returns the name of the resource's service.
func (e Entry) Service() string {
	switch {
	case e.Region == Global:
		return "IAM"
	case e.Kind == Grant:
		return "KMS"
	}
	return "EC2"
}

// Command returns the AWS CLI command that deletes the resource. A profile, its
// role and the role's policy share one name. The second command runs even if the
// first one finds nothing to delete. That of an image also deletes its snapshots,
// which may be unknown.
func (e Entry) Command() string {
	label, region := argument(e.Label()), shellquote.Word(e.Region)
	if e.isShare() {
		return e.revocation()
	}
	switch e.Kind {
	case InstanceProfile:
		return fmt.Sprintf("aws iam remove-role-from-instance-profile --instance-profile-name%[1]s --role-name%[1]s; "+
			"aws iam delete-instance-profile --instance-profile-name%[1]s", label)
	case Role:
		return fmt.Sprintf("aws iam delete-role-policy --role-name%[1]s --policy-name%[1]s; aws iam delete-role --role-name%[1]s", label)
	}
	verb := map[Kind]string{
		Instance:       "terminate-instances --instance-ids",
		Image:          "deregister-image --delete-associated-snapshots --image-id",
		Snapshot:       "delete-snapshot --snapshot-id",
		Volume:         "delete-volume --volume-id",
		SecurityGroup:  "delete-security-group --group-id",
		KeyPair:        "delete-key-pair --key-pair-id",
		LaunchTemplate: "delete-launch-template --launch-template-id",
	}[e.Kind]
	if e.ID == "" {
		verb = map[Kind]string{
			SecurityGroup:  "delete-security-group --group-name", // works only in the default VPC
			KeyPair:        "delete-key-pair --key-name",
			LaunchTemplate: "delete-launch-template --launch-template-name",
		}[e.Kind]
	}
	return fmt.Sprintf("aws ec2 %s%s --region %s", verb, label, region)
}

// argument returns the value of an option for a command. A name may begin with "-",
// which the AWS CLI takes for an option.
func argument(value string) string {
	if strings.HasPrefix(value, "-") {
		return "=" + shellquote.Word(value)
	}
	return " " + shellquote.Word(value)
}

// Ledger records the resources that a build must still remove or hand over. It is
// safe for concurrent use; its zero value is empty.
type Ledger struct {
	mu      sync.Mutex
	entries []Entry
	made    map[string]time.Time // by Entry.key, resources not seen yet
}

// Add records a resource that exists or is about to be created. The latter is
// identified by its name until a later Add sets its ID.
func (l *Ledger) Add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !e.Seen {
		if l.made == nil {
			l.made = map[string]time.Time{}
		}
		for _, label := range []string{e.ID, e.Name} {
			if key := e.key(label); label != "" && l.made[key].IsZero() {
				l.made[key] = clock.Now()
			}
		}
	}
	for i, known := range l.entries {
		if known.same(e) {
			e.ID, e.Name, e.Of = cmp.Or(e.ID, known.ID), cmp.Or(e.Name, known.Name), cmp.Or(e.Of, known.Of)
			e.Seen, e.Snapshots = e.Seen || known.Seen, max(e.Snapshots, known.Snapshots)
			l.entries[i] = e
			return
		}
	}
	l.entries = append(l.entries, e)
}

// Made returns when the build created a resource; zero if it only found it.
func (l *Ledger) Made(e Entry) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.made[e.key(e.Label())]
}

// snapshots returns the number of snapshots that an image will have.
func (l *Ledger) snapshots(e Entry) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, known := range l.entries {
		if known.same(e) {
			return max(e.Snapshots, known.Snapshots)
		}
	}
	return e.Snapshots
}

// Strike removes a resource from the ledger: it was deleted or handed over, such as
// an image of the artifact.
func (l *Ledger) Strike(struck Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = slices.DeleteFunc(l.entries, func(e Entry) bool { return e.same(struck) })
}

// Left returns the recorded resources in the order of removal.
func (l *Ledger) Left() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := slices.Clone(l.entries)
	slices.SortStableFunc(left, func(a, b Entry) int { return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind) })
	return left
}

// Images returns the recorded images.
func (l *Ledger) Images() []Entry {
	return slices.DeleteFunc(l.Left(), func(e Entry) bool { return e.Kind != Image })
}
