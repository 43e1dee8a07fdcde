// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package linuxtest

import (
	"os"
	"strings"
	"testing"
)

// TestBoot boots both systems: systemd is PID 1, and writes stay inside the system.
func TestBoot(t *testing.T) {
	Need(t)
	for _, test := range []struct {
		name string
		root func(testing.TB) string
	}{
		{"this system", func(testing.TB) string { return Host }},
		{"Debian 13", Debian13},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := test.root(t)
			s := Boot(t, root)
			if got := strings.TrimSpace(s.Run(t, "cat /proc/1/comm")); got != "systemd" {
				t.Errorf("got PID 1 %q, want systemd", got)
			}
			s.Write(t, "/etc/linuxtest", "inside\n", 0o644)
			if _, err := os.Stat(root + "/etc/linuxtest"); err == nil {
				t.Error("a file written inside the system is on the host")
			}
		})
	}
}
