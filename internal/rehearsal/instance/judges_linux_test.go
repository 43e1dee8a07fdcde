// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

// TestJudges lets the programs that judge an EC2 instance judge a machine: those of
// systemd and cloud-init inside it, and the clients of OpenSSH outside.
func TestJudges(t *testing.T) {
	g, file := withKeyFile(t, newSite(t))
	for _, c := range []struct {
		name  string
		judge func(*testing.T, *guest, string)
	}{
		{"cloud-init", judgeCloudInit}, {"systemd", judgeSystemd}, {"user", judgeUser}, {"network", judgeNetwork},
		{"ssh", judgeSSH}, {"ssh-keyscan", judgeHostKey}, {"scp", judgeSCP}, {"sftp", judgeSFTP},
	} {
		t.Run(c.name, func(t *testing.T) {
			own := *g
			own.t = t
			c.judge(t, &own, file)
		})
	}
}

// withKeyFile boots a machine, and writes its login key to a file.
func withKeyFile(t *testing.T, s *site) (*guest, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	g := s.start(func(spec *Spec) {
		spec.AuthorizedKeys = gossh.MarshalAuthorizedKey(signer.PublicKey())
		spec.UserData = []byte("#cloud-config\nwrite_files: [{path: /etc/judged, content: 'yes'}]\n")
	})
	g.signer = signer
	return g, file
}

// judgeCloudInit lets cloud-init judge its boot and its configuration.
func judgeCloudInit(t *testing.T, g *guest, _ string) {
	status := g.run("cloud-init status --wait --long")
	for _, want := range []string{"status: done", "DataSourceEc2"} {
		if !strings.Contains(status, want) {
			t.Errorf("status: got %s, want %q", status, want)
		}
	}
	for line := range strings.Lines(status) { // "errors: []" in recent versions
		if strings.Contains(line, "error") && strings.TrimSpace(line) != "errors: []" {
			t.Errorf("status: %s", line)
		}
	}
	if got := g.run("cloud-init query instance_id"); got != g.spec.ID {
		t.Errorf("the instance id is %s, want %s", got, g.spec.ID)
	}
	if got := g.run("cat /etc/judged"); got != "yes" {
		t.Errorf("the user data wrote %q", got)
	}
	if o := g.try("sudo cloud-init schema --system", ""); o.status != 0 {
		t.Errorf("the user data is invalid: %s%s", o.stdout, o.stderr)
	}
	if o := g.try("(echo '#cloud-config'; cat /etc/cloud/cloud.cfg.d/90-rehearsal.cfg) >/tmp/image; cloud-init schema --config-file /tmp/image", ""); o.status != 0 {
		t.Errorf("the image's configuration is invalid: %s%s", o.stdout, o.stderr)
	}
	// Ec2Local configures the network itself, which the rehearsal has done before.
	if warnings := g.try("sudo grep -E 'WARNING|ERROR|CRITICAL' /var/log/cloud-init.log | grep -v DataSourceEc2Local", "").stdout; warnings != "" {
		t.Errorf("log: %s", warnings)
	}
}

func newUnit(lines string) string { return "[Service]\nExecStart=/bin/sleep 1000\n" + lines }

// judgeSystemd lets systemd judge the machine and units in it.
func judgeSystemd(t *testing.T, g *guest, _ string) {
	if o := g.try("systemctl is-system-running --wait", ""); o.stdout != "running\n" {
		t.Errorf("the system is %s%s", o.stdout, g.try("systemctl --failed --no-pager --no-legend", "").stdout)
	}
	if o := g.try("sudo tee /etc/systemd/system/sound.service >/dev/null && systemd-analyze verify sound.service", newUnit("ProtectSystem=strict\n")); o.status != 0 || o.stdout+o.stderr != "" {
		t.Errorf("verify of a sound unit: %+v", o)
	}
	if o := g.try("sudo tee /etc/systemd/system/wrong.service >/dev/null && systemd-analyze verify wrong.service", "[Service]\nExecStart=/no/such/program\n"); o.status == 0 {
		t.Errorf("verify of a wrong unit: %+v", o)
	}
	g.run("sudo systemctl daemon-reload")
	if got := g.run("systemd-analyze security --no-pager sound.service"); !strings.Contains(got, "Overall exposure level for sound.service") {
		t.Errorf("security: got %s", got)
	}
}

// judgeUser checks the login user, as EC2's Ubuntu images create it.
func judgeUser(t *testing.T, g *guest, _ string) {
	if groups := strings.Fields(g.run("id -nG")); !strings.Contains(" "+strings.Join(groups, " ")+" ", " sudo ") {
		t.Errorf("the user is in %v", groups)
	}
	if o := g.try("sudo -n id -u", ""); o.stdout != "0\n" || o.stderr != "" { // sudo warns if the host name has no address
		t.Errorf("sudo: %+v", o)
	}
	if got := g.run("sudo passwd --status " + g.spec.User); !strings.HasPrefix(got, g.spec.User+" L ") {
		t.Errorf("the password is not locked: %s", got)
	}
}

// judgeNetwork checks what a program such as apt-get needs before its first request.
func judgeNetwork(t *testing.T, g *guest, _ string) {
	if got := g.run("cat /etc/resolv.conf"); online() && !strings.Contains(got, "nameserver ") {
		t.Errorf("resolv.conf: %q", got)
	}
	if got, want := g.run("ip -4 route show default"), "default via "+Gateway+" dev eth0"; online() && !strings.HasPrefix(got, want) {
		t.Errorf("default route: got %q, want %q", got, want)
	}
}

// openSSH runs a client of OpenSSH with an input, and returns what it printed. It does
// not read the settings of the user who runs the tests.
func openSSH(t *testing.T, g *guest, file, input, program string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("SKIPPED: needs %s of OpenSSH", program)
	}
	options := []string{"-F", "none"}
	for _, o := range []string{
		"IdentityFile=" + file, "IdentitiesOnly=yes", "IdentityAgent=none", "Port=" + strconv.Itoa(g.port), "BatchMode=yes",
		"StrictHostKeyChecking=accept-new", "UserKnownHostsFile=" + file + ".hosts", "GlobalKnownHostsFile=none", "LogLevel=ERROR",
	} {
		options = append(options, "-o", o)
	}
	command := exec.Command(program, append(options, args...)...)
	command.Stdin = strings.NewReader(input)
	out, err := command.CombinedOutput()
	return string(out), err
}

func judgeSSH(t *testing.T, g *guest, file string) {
	at := g.spec.User + "@" + g.spec.Address
	out, err := openSSH(t, g, file, "input", "ssh", at, "cat; echo; whoami; exit 3")
	var exit *exec.ExitError
	if want := "input\n" + g.spec.User + "\n"; out != want || !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("got %q and %v, want %q and status 3", out, err, want)
	}
	out, err = openSSH(t, g, file, "", "ssh", "root@"+g.spec.Address, "id -u")
	if err == nil || !strings.Contains(out, `Please login as the user "`+g.spec.User+`" rather than the user "root"`) {
		t.Errorf("root: got %q and %v", out, err)
	}
}

// judgeHostKey compares the machine's host key with the one that a scan finds.
func judgeHostKey(t *testing.T, g *guest, _ string) {
	if _, err := exec.LookPath("ssh-keyscan"); err != nil {
		t.Skip("SKIPPED: needs ssh-keyscan of OpenSSH")
	}
	out, err := exec.Command("ssh-keyscan", "-p", strconv.Itoa(g.port), "-t", "ed25519", g.spec.Address).Output()
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(out))
	want := strings.Fields(g.run("cat /etc/ssh/ssh_host_ed25519_key.pub"))
	if len(fields) != 3 || len(want) < 2 || fields[2] != want[1] {
		t.Errorf("the scan found %q, the machine has %q", out, want)
	}
}

// judgeSCP copies a file to the machine and back.
func judgeSCP(t *testing.T, g *guest, file string) {
	at := g.spec.User + "@" + g.spec.Address + ":"
	content := bytes.Repeat([]byte("rehearsal\x00\xff\n"), 100_000)
	there, back := filepath.Join(t.TempDir(), "there"), filepath.Join(t.TempDir(), "back")
	if err := os.WriteFile(there, content, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, mode := range [][]string{{"-p"}, {"-p", "-O"}} { // by SFTP, and by the older protocol
		for _, paths := range [][]string{{there, at + "copied"}, {at + "copied", back}} {
			if out, err := openSSH(t, g, file, "", "scp", append(mode, paths...)...); err != nil {
				t.Fatalf("scp %v %v: %v: %s", mode, paths, err, out)
			}
		}
		if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, content) {
			t.Errorf("scp %v: got %d bytes and %v, want %d", mode, len(got), err, len(content))
		}
		if info, err := os.Stat(back); err != nil || info.Mode() != 0o640 {
			t.Errorf("scp %v: got %v and %v", mode, info.Mode(), err)
		}
		g.run("rm copied")
		_ = os.Remove(back)
	}
}

func judgeSFTP(t *testing.T, g *guest, file string) {
	back := filepath.Join(t.TempDir(), "back")
	batch := "mkdir d\nput " + file + ".batch d/f\nchmod 600 d/f\nrename d/f d/g\nget d/g " + back + "\nrm d/g\nrmdir d\n"
	if err := os.WriteFile(file+".batch", []byte(batch), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := openSSH(t, g, file, "", "sftp", "-b", file+".batch", g.spec.User+"@"+g.spec.Address); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got, err := os.ReadFile(back); err != nil || string(got) != batch {
		t.Errorf("got %q and %v, want %q", got, err, batch)
	}
	if o := g.try("ls -d d", ""); o.status == 0 {
		t.Error("the folder still exists")
	}
}
