// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/deadman"
)

// switched gives a machine a switch, and maybe user data of its user's.
func switched(t *testing.T, after time.Duration, own string) func(*Spec) {
	t.Helper()
	data, err := deadman.Arm(after, []byte(own))
	if err != nil {
		t.Fatal(err)
	}
	return func(s *Spec) { s.UserData = data }
}

// A machine with a switch powers itself off, although nobody talks to it, and
// what the user's own user data does is done before.
func TestDeadMan(t *testing.T) {
	s := newSite(t)
	for name, own := range map[string]string{"alone": "", "before a script that hangs": "#!/bin/sh\nsleep 1000\n"} {
		t.Run(name, func(t *testing.T) {
			g := s.start(switched(t, 2*time.Second, own))
			select {
			case <-g.Off():
			case <-time.After(time.Minute):
				t.Error("it did not power itself off")
			}
		})
	}
}

// A reboot neither ends the switch nor winds it up again.
func TestDeadManOutlivesAReboot(t *testing.T) {
	g := newSite(t).start(switched(t, time.Hour, "#!/bin/sh\necho mine >/var/lib/mine\n"))
	armed := func() bool { return g.try("systemctl is-active ethminer-deadman", "").stdout == "active\n" }
	within(t, "the switch", armed)
	within(t, "the user's script", func() bool { return g.try("cat /var/lib/mine", "").stdout == "mine\n" })
	deadline := g.run("sudo cat /var/lib/cloud/instance/ethminer-deadline")
	if deadline == "" {
		t.Fatal("there is no deadline")
	}
	if err := g.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, "the switch after the reboot", armed)
	if now := g.run("sudo cat /var/lib/cloud/instance/ethminer-deadline"); now != deadline {
		t.Errorf("the deadline was %s and is %s", deadline, now)
	}
	// The deadline has come while it was off: it ends soon after a boot.
	g.run("echo 1 | sudo tee /var/lib/cloud/instance/ethminer-deadline")
	off := g.Off()
	if err := g.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-off:
	case <-g.Off():
	case <-time.After(time.Minute):
		t.Error("it did not power itself off")
	}
}

// An image has nothing that could end a machine: what it keeps is a record of
// the machine that is gone, which cloud-init does not look at in another.
func TestDeadManIsNotInAnImage(t *testing.T) {
	s := newSite(t)
	g := s.start(switched(t, time.Hour, "#!/bin/sh\n"))
	within(t, "the switch", func() bool { return g.try("systemctl is-active ethminer-deadman", "").stdout == "active\n" })
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
				t.Errorf("the image knows the switch: %+v", o)
			}
			if left := other.run("sudo find / -xdev -name '*ethminer-dead*' -not -path '/proc/*' -not -path '/var/lib/cloud/instances/" + g.spec.ID + "/*'"); left != "" {
				t.Errorf("the image has %s", left)
			}
			if left := other.run("sudo pgrep -f '[s]ystemctl.*poweroff' || true"); left != "" {
				t.Errorf("it runs: %s", left)
			}
		})
	}
}
