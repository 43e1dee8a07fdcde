// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// If a run is killed after the set got the new template, and fails when it is run
// again, it still restores the old template; after a complete publication it does
// not.
func TestRestoreAfterKill(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, template(1, three...)))
	w.wire.reset(nil)
	w.wire.failWith(func(c call) *failure {
		if c.action == "UpdateStackSet" {
			w.wire.kill = kill{len(w.wire.calls) + 1, false} // after this one, which is carried out
		}
		return nil
	})
	if err := w.publish(s, template(2, three...)); err == nil || !strings.Contains(w.template(), "number 2") {
		t.Fatalf("error %v, and the set has %s", err, w.template())
	}
	w.wire.failWith(nil)
	w.wire.killAt(0, false)
	w.idle()
	// The stacks of this stage are current now, those of the other stage are
	// not.
	w.fail("us-east-1", accounts[0], 1)
	if err := w.publish(s, template(2, three...)); err == nil || w.template() != string(template(1, three...)) {
		t.Errorf("error %v, and the set has %s", err, w.template())
	}

	w.must(w.publish(s, template(2, three...)))
	w.fail("eu-central-1", accounts[0], 2)
	w.other("fails", "eu-central-1")
	w.idle()
	if err := w.publish(s, template(2, three...)); err == nil || !strings.Contains(w.template(), "number 2") {
		t.Errorf("all was done: error %v, and the set has %s", err, w.template())
	}
}

// If the canary region fails, no other stack gets the new template, and the set's
// old template is restored if on_failure is rollback. The account is reported.
func TestCanaryFails(t *testing.T) {
	for _, onFailure := range []string{stackset.Restore, stackset.Keep} {
		w := newWorld(t, three...)
		s := setSpec(three...)
		s.StackSet.OnFailure = onFailure
		w.must(w.publish(s, template(1, three...)))
		made := w.changed()
		w.fail("eu-central-1", accounts[1], 1)
		w.operations()
		err := w.publish(s, template(2, three...))
		if err == nil || !strings.Contains(err.Error(), "the account 222222222222 is not enabled for stack sets") {
			t.Errorf("%s: %v", onFailure, err)
		}
		for name, at := range w.changed() {
			if !strings.HasPrefix(name, "eu-central-1") && !at.Equal(made[name]) {
				t.Errorf("%s: the stack %s was disturbed", onFailure, name)
			}
		}
		switch got := w.operations(); {
		case onFailure == stackset.Keep:
			if got != "UPDATE eu-central-1" || !strings.Contains(w.template(), "number 2") {
				t.Errorf("keep: %s, and the set has %s", got, w.template())
			}
		case got != "UPDATE eu-central-1; UPDATE ap-south-1,eu-central-1,us-east-1" || w.template() != string(template(1, three...)):
			t.Errorf("rollback: %s, and the set has %s", got, w.template())
		default:
			w.wantCurrent(6)
		}
	}
}
