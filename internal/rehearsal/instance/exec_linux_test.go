// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import "testing"

// The client receives a command's output and exit status unchanged.
func TestExec(t *testing.T) {
	g := newSite(t).start()
	for _, c := range []struct {
		name, command, input string
		want                 outcome
	}{
		{"output", "echo out; echo err >&2", "", outcome{stdout: "out\n", stderr: "err\n"}},
		{"status", "exit 7", "", outcome{status: 7}},
		{"highest status", "exit 255", "", outcome{status: 255}},
		{"not found", "no-such-program 2>/dev/null", "", outcome{status: 127}},
		{"signal", "kill -KILL $$", "", outcome{status: 137, signal: "KILL"}},
		{"input", "wc -c", "four", outcome{stdout: "4\n"}},
		{"unread input", "true", "never read", outcome{}},
		{"user, directory and host", "id -un; pwd; hostname", "", outcome{stdout: "ubuntu\n/home/ubuntu\n" + g.spec.ID + "\n"}},
		{"sudo", "sudo -n id -u; sudo sh -c 'exit 3'", "", outcome{stdout: "0\n", status: 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := g.try(c.command, c.input); got != c.want {
				t.Errorf("%s\n got %+v\nwant %+v", c.command, got, c.want)
			}
		})
	}
}
