// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// french returns a template whose text CloudFormation does not return exactly.
func french(n int, accent string) []byte {
	return append(template(n, three...), "# "+accent+"\n"...)
}

// bodies returns the templates that the stacks of the set have.
func (w *world) bodies() map[string]int {
	all := map[string]int{}
	for _, stack := range w.server.Stacks("us-east-1", "mining") {
		all[stack.Body]++
	}
	return all
}

// CloudFormation returns question marks for characters outside ASCII: the same
// template is not rolled out again, and one that differs only in them is.
func TestCharactersOutsideASCII(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, french(1, "été")))
	if !strings.Contains(w.template(), "# ?t?") {
		t.Fatalf("the rehearsal returns %s", w.template())
	}
	w.operations()
	w.must(w.publish(s, french(1, "été")))
	if got := w.operations(); got != "" {
		t.Errorf("nothing has changed, and there was %s", got)
	}
	w.must(w.publish(s, french(1, "àtà")))
	if got := w.operations(); got != "UPDATE eu-central-1; UPDATE ap-south-1,us-east-1" {
		t.Errorf("updated by %s", got)
	}
	if got := w.bodies(); got[string(french(1, "àtà"))] != 6 {
		t.Errorf("the stacks have %v", got)
	}
	state, err := w.publisher().State(t.Context(), w.plan(s, french(1, "àtà")).Source())
	w.must(err)
	findings, err := w.publisher().Check(t.Context(), state)
	w.must(err)
	for _, f := range findings {
		if !f.OK() {
			t.Errorf("status: %+v", f)
		}
	}
}

// A killed roll-out is resumed, although the set's template looks like both the old
// and the new one.
func TestCharactersOutsideASCIIKilled(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	w.must(w.publish(s, french(1, "été")))
	w.wire.reset(nil)
	w.wire.failWith(func(c call) *failure {
		if c.action == "UpdateStackSet" {
			w.wire.kill = kill{len(w.wire.calls), false}
		}
		return nil
	})
	if err := w.publish(s, french(1, "àtà")); err == nil {
		t.Fatal("no error")
	}
	w.wire.failWith(nil)
	w.wire.killAt(0, false)
	w.must(w.publish(s, french(1, "àtà")))
	if got := w.bodies(); got[string(french(1, "àtà"))] != 6 {
		t.Errorf("the stacks have %v", got)
	}
}

// A failed roll-out restores the published copy of the previous template, not the
// text that CloudFormation returns.
func TestRestoreCharactersOutsideASCII(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	s.StackSet.OnFailure = stackset.Restore
	w.must(w.publish(s, french(1, "été")))
	w.fail("eu-central-1", accounts[1], 1)
	if err := w.publish(s, french(2, "été")); err == nil {
		t.Fatal("no error")
	}
	if got := w.bodies(); got[string(french(1, "été"))] != 6 {
		t.Errorf("the stacks have %v", got)
	}
}
