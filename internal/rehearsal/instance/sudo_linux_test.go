// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"reflect"
	"testing"
	"time"
)

func TestParseSudo(t *testing.T) {
	for _, c := range []struct {
		args []string
		want *sudoCall // nil is an error
	}{
		{[]string{"id", "-u"}, &sudoCall{user: "root", command: []string{"id", "-u"}}},
		{[]string{"-n", "-E", "-H", "-S", "id"}, &sudoCall{user: "root", keepEnv: true, setHome: true, command: []string{"id"}}},
		{[]string{"-EHu", "miner", "id"}, &sudoCall{user: "miner", keepEnv: true, setHome: true, command: []string{"id"}}},
		{[]string{"-uminer", "--", "-x"}, &sudoCall{user: "miner", command: []string{"-x"}}},
		{[]string{"--user=miner", "--group", "g", "A=1", "B=2", "env"}, &sudoCall{user: "miner", group: "g", env: []string{"A=1", "B=2"}, command: []string{"env"}}},
		{[]string{"--preserve-env=A,B", "env"}, &sudoCall{user: "root", keep: []string{"A", "B"}, command: []string{"env"}}},
		{[]string{"-i"}, &sudoCall{user: "root", login: true, command: []string{}}},
		{[]string{"-p", "prompt", "id"}, &sudoCall{user: "root", command: []string{"id"}}},
		{[]string{"-v"}, &sudoCall{user: "root", validate: true, command: []string{}}},
		{[]string{}, nil},
		{[]string{"-u"}, nil},
		{[]string{"-e", "/etc/passwd"}, nil},
		{[]string{"--chroot", "/x", "id"}, nil},
	} {
		got, err := parseSudo(c.args)
		if (err != nil) != (c.want == nil) || err == nil && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: got %+v, %v, want %+v", c.args, got, err, c.want)
		}
	}
}

// sudo sets the user, environment and directory of the command.
func TestSudo(t *testing.T) {
	g := newSite(t).start()
	g.run("sudo ln -s " + toolDir + "/sudo /usr/local/bin/sudo; sudo useradd -m other") // takes precedence over the host's sudo
	for command, want := range map[string]string{
		"sudo id -un":                                 "root",
		"sudo -u other id -un":                        "other",
		"sudo -u other id -gn":                        "other",
		"sudo whoami | cat":                           "root",
		"X=1 sudo env | grep ^X= || echo none":        "none",
		"X=1 sudo -E env | grep ^X=":                  "X=1",
		"X=1 sudo --preserve-env=X env | grep ^X=":    "X=1",
		"sudo X=2 sh -c 'echo $X'":                    "2",
		"sudo sh -c 'echo $HOME $USER $SUDO_USER'":    "/root root ubuntu",
		"sudo -E sh -c 'echo $HOME'":                  "/home/ubuntu",
		"sudo -E -H sh -c 'echo $HOME'":               "/root",
		"sudo -i pwd":                                 "/root",
		"sudo -i echo 'a  b' '$0'":                    "a  b -bash",
		"sudo -s echo 'a  b'":                         "a  b",
		"echo in | sudo -S cat":                       "in",
		"sudo sh -c 'exit 200'; echo $?":              "200",
		"sudo sudo -u other sudo -n id 2>&1; echo $?": "sudo: a password is required\n1",
		"sudo no-such-thing 2>&1; echo $?":            "sudo: no-such-thing: command not found\n1",
		"sudo -u nobody-here id 2>&1":                 "sudo: unknown user nobody-here",
		"sudo runuser -u other id -- -un":             "other",
		"sudo su - other -c 'id -un; pwd'":            "other\n/home/other",
		"sudo sh -c 'kill -KILL $$'; echo $?":         "137",
		"cd /usr/lib && sudo pwd":                     "/usr/lib",
		"sudo sh -c 'echo \"$PATH\"'":                 path,
	} {
		if got := g.try(command, ""); got.stdout != want+"\n" {
			t.Errorf("%s: got %+v, want %q", command, got, want)
		}
	}
	g.run("sudo sh -c 'rm /etc/sudoers.d/*'")
	if o := g.try("sudo id", ""); o.status == 0 {
		t.Error("sudo works without its sudoers file")
	}
}

func TestUntil(t *testing.T) {
	now := time.Date(2030, 1, 2, 13, 30, 0, 0, time.UTC)
	for when, want := range map[string]time.Duration{
		"now": 0, "+0": 0, "+5": 5 * time.Minute, "7": 7 * time.Minute, "13:31": time.Minute, "13:30": 24 * time.Hour, "00:00": 10*time.Hour + 30*time.Minute,
	} {
		if got, err := until(when, now); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", when, got, err, want)
		}
	}
	for _, bad := range []string{"", "soon", "+-1", "25:00", "1.5"} {
		if got, err := until(bad, now); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}
