// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// An account that joins a unit gets stacks, and with the next publication its
// overrides and the new template.
func TestAutoDeployment(t *testing.T) {
	const unit, joins = "ou-ab12-11111111", "999999999999"
	for name, change := range map[string]bool{"from the start": false, "for an existing set": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, three...)
			s := overrideSpec()
			s.StackSet.Accounts, s.StackSet.PermissionModel, s.StackSet.OrganizationalUnits = nil, "SERVICE_MANAGED", []string{unit}
			if change {
				w.must(w.publish(s, withSubnets(1, "")))
				if aws.ToBool(w.set().AutoDeployment.Enabled) {
					t.Error("enabled without the option")
				}
			}
			s.StackSet.AutoDeployment = &stackset.AutoDeployment{Enabled: true, Retain: true}
			w.must(w.publish(s, withSubnets(1, "")))
			if a := w.set().AutoDeployment; !aws.ToBool(a.Enabled) || !aws.ToBool(a.RetainStacksOnAccountRemoval) {
				t.Errorf("the set has %+v", a)
			}
			if change != w.hasSaid("setting automatic deployment, in an update of all of its stacks: on: accounts that leave the units keep their stacks") {
				t.Errorf("said %q", w.said)
			}
			w.operations()
			w.must(w.publish(s, withSubnets(1, "")))
			if got := w.operations(); got != "" {
				t.Errorf("nothing has changed, and there was %s", got)
			}
			w.server.JoinUnit(unit, joins)
			s.StackSet.Overrides = []stackset.Override{override([]string{"us-east-1"}, []string{joins}, "own")}
			w.must(w.publish(s, withSubnets(2, "")))
			w.wantCurrent(9)
			if got := w.subnets(); strings.Count(got, "=set") != 8 || !strings.Contains(got, "us-east-1 9=own") {
				t.Errorf("the stacks have %s", got)
			}
			w.wantStatus(s, withSubnets(2, ""), "")
			s.StackSet.AutoDeployment = &stackset.AutoDeployment{}
			w.must(w.publish(s, withSubnets(2, "")))
			if a := w.set().AutoDeployment; aws.ToBool(a.Enabled) {
				t.Errorf("the set has %+v", a)
			}
		})
	}
}

// Without automatic deployment, the error of an account that joined a unit has the
// remedy.
func TestJoinedAccountWithoutAutoDeployment(t *testing.T) {
	w := newWorld(t, three...)
	s := setSpec(three...)
	s.StackSet.Accounts, s.StackSet.PermissionModel, s.StackSet.OrganizationalUnits = nil, "SERVICE_MANAGED", []string{"ou-ab12-11111111"}
	w.must(w.publish(s, template(1, three...)))
	w.server.JoinUnit("ou-ab12-11111111", "999999999999")
	if err := w.publish(s, template(2, three...)); err == nil || !strings.Contains(err.Error(), "an account of the organizational units has no stack, such as one that joined them later: set enabled of auto_deployment to true") {
		t.Errorf("error %v", err)
	}
}
