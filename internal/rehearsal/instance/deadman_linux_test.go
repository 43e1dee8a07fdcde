// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/deadman"
)

// withSwitch arms a dead man's switch, in addition to the user's own user data, if any.
func withSwitch(t *testing.T, after time.Duration, own string) func(*Spec) {
	t.Helper()
	data, err := deadman.Arm(after, []byte(own))
	if err != nil {
		t.Fatal(err)
	}
	return func(s *Spec) { s.UserData = data }
}

// A machine with a switch powers itself off without any connection. The user's own user
// data runs before that.
func TestDeadMan(t *testing.T) {
	s := newSite(t)
	for name, own := range map[string]string{"without user data": "", "with a script that hangs": "#!/bin/sh\nsleep 1000\n"} {
		t.Run(name, func(t *testing.T) {
			g := s.start(withSwitch(t, 2*time.Second, own))
			select {
			case <-g.Off():
			case <-time.After(time.Minute):
				t.Error("the machine did not power itself off")
			}
		})
	}
}

// A reboot neither disarms nor extends the switch.
func TestDeadManSurvivesReboot(t *testing.T) {
	g := newSite(t).start(withSwitch(t, time.Hour, "#!/bin/sh\necho mine >/var/lib/mine\n"))
	armed := func() bool { return g.try("systemctl is-active ethminer-deadman", "").stdout == "active\n" }
	waitFor(t, "switch armed", armed)
	waitFor(t, "user's script", func() bool { return g.try("cat /var/lib/mine", "").stdout == "mine\n" })
	deadline := g.run("sudo cat /var/lib/cloud/instance/ethminer-deadline")
	if deadline == "" {
		t.Fatal("the deadline file is empty")
	}
	if err := g.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "switch armed after the reboot", armed)
	if now := g.run("sudo cat /var/lib/cloud/instance/ethminer-deadline"); now != deadline {
		t.Errorf("deadline changed from %s to %s", deadline, now)
	}
	// The deadline passed while the machine was off, so it shuts down soon after the
	// boot.
	g.run("echo 1 | sudo tee /var/lib/cloud/instance/ethminer-deadline")
	off := g.Off()
	if err := g.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-off:
	case <-g.Off():
	case <-time.After(time.Minute):
		t.Error("the machine did not power itself off")
	}
}

// An image does not contain a switch. It keeps only the record of the first machine,
// which cloud-init ignores in another machine.
func TestDeadManNotInImage(t *testing.T) {
	s := newSite(t)
	g := s.start(withSwitch(t, time.Hour, "#!/bin/sh\n"))
	waitFor(t, "switch armed", func() bool { return g.try("systemctl is-active ethminer-deadman", "").stdout == "active\n" })
	if err := g.Capture(t.Context(), "baked"); err != nil {
		t.Fatal(err)
	}
	for name, more := range map[string]func(*Spec){
		"without user data":      func(*Spec) {},
		"with its own user data": func(s *Spec) { s.UserData = []byte("#!/bin/sh\ntrue\n") },
	} {
		t.Run(name, func(t *testing.T) {
			other := s.start(func(s *Spec) { s.Layer = "baked" }, more)
			if o := other.try("systemctl status ethminer-deadman", ""); o.status == 0 || !strings.Contains(o.stdout+o.stderr, "could not be found") {
				t.Errorf("the image contains the switch's unit: %+v", o)
			}
			if left := other.run("sudo find / -xdev -name '*ethminer-dead*' -not -path '/proc/*' -not -path '/var/lib/cloud/instances/" + g.spec.ID + "/*'"); left != "" {
				t.Errorf("the image contains %s", left)
			}
			if left := other.run("sudo pgrep -f '[s]ystemctl.*poweroff' || true"); left != "" {
				t.Errorf("the switch is running: %s", left)
			}
		})
	}
}
