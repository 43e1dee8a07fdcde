// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"context"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	packerssh "github.com/hashicorp/packer-plugin-sdk/sdk-internals/communicator/ssh"
	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"
)

// communicator returns Packer's own SSH communicator.
func (g *guest) communicator(useSftp bool) packersdk.Communicator {
	g.t.Helper()
	log.SetOutput(g.t.Output()) // Packer's log, shown for a failed test
	g.t.Cleanup(func() { log.SetOutput(os.Stderr) })
	c, err := packerssh.New(g.address(), &packerssh.Config{
		Connection: packerssh.ConnectFunc("tcp", g.address()),
		SSHConfig: &gossh.ClientConfig{
			User:            g.spec.User,
			Auth:            []gossh.AuthMethod{gossh.PublicKeys(g.signer)},
			HostKeyCallback: gossh.InsecureIgnoreHostKey(),
		},
		Pty:               false,
		UseSftp:           useSftp,
		KeepAliveInterval: 20 * time.Millisecond,
		HandshakeTimeout:  10 * time.Second,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

// useOwnScp makes the machine use the rehearsal's scp even if the host has scp.
func (g *guest) useOwnScp() {
	g.t.Helper()
	g.run("sudo ln -s " + toolDir + "/scp /usr/local/bin/scp")
}

// tree creates a directory with names and files that are hard to copy.
func tree(t *testing.T) (dir string, want map[string]string) {
	t.Helper()
	dir = t.TempDir()
	want = map[string]string{
		"plain": "text\n", "empty": "", "a/b/deep": "deep", "a/exact": strings.Repeat("0123456789abcdef", 4096), "a/zero\x01": "\x00\x01\x02",
	}
	for name, content := range want {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, want
}

// Packer's file transfers work with the host's scp, with the rehearsal's scp, and with
// SFTP.
func TestPackerTransfers(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct{ own, sftp bool }{"rehearsal's scp": {own: true}, "host's scp": {}, "sftp": {sftp: true}} {
		t.Run(name, func(t *testing.T) {
			g := s.start()
			if c.own {
				g.useOwnScp()
			} else if g.try("command -v scp", "").status != 0 {
				t.Skip("SKIPPED: requires scp on the host")
			}
			p := g.communicator(c.sftp)
			dir, want := tree(t)

			if err := p.Upload("/tmp/up", strings.NewReader("uploaded"), nil); err != nil {
				t.Fatal(err)
			}
			if got := g.run("cat /tmp/up; stat -c ' %U' /tmp/up"); got != "uploaded ubuntu" {
				t.Errorf("uploaded file: got %q", got)
			}
			if err := p.Upload("/etc/forbidden", strings.NewReader("x"), nil); err == nil {
				t.Error("upload to a folder without permission succeeded")
			}
			var down bytes.Buffer
			if err := p.Download("/tmp/up", &down); err != nil || down.String() != "uploaded" {
				t.Errorf("downloaded file: got %q, error %v", down.String(), err)
			}
			if err := p.Download("/tmp/nothing", &down); err == nil {
				t.Error("download of a missing file succeeded")
			}
			// Without a slash, the upload includes the directory itself.
			if err := p.UploadDir("/tmp", dir, nil); err != nil {
				t.Fatal(err)
			}
			back := t.TempDir()
			if err := p.DownloadDir("/tmp/"+filepath.Base(dir)+"/", back, nil); err != nil {
				t.Fatal(err)
			}
			for name, content := range want {
				// For downloads, SFTP and scp treat a trailing slash differently.
				got, err := os.ReadFile(filepath.Join(back, name))
				if err != nil {
					got, err = os.ReadFile(filepath.Join(back, filepath.Base(dir), name))
				}
				if err != nil || string(got) != content {
					t.Errorf("%q: downloaded %d bytes, want %d (%v)", name, len(got), len(content), err)
				}
			}
		})
	}
}

// Packer receives a command's output and exit status, with keep-alives during the
// command.
func TestPackerCommand(t *testing.T) {
	g := newSite(t).start()
	p := g.communicator(false)
	var out bytes.Buffer
	cmd := &packersdk.RemoteCmd{Command: "sleep 0.2; cat; exit 9", Stdin: strings.NewReader("in"), Stdout: &out}
	if err := p.Start(context.Background(), cmd); err != nil {
		t.Fatal(err)
	}
	if got := cmd.Wait(); got != 9 || out.String() != "in" {
		t.Errorf("got status %d, output %q", got, out.String())
	}
}

// The SFTP server has the rights of the user.
func TestSFTP(t *testing.T) {
	g := newSite(t).start()
	c, err := sftp.NewClient(g.client())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if wd, err := c.Getwd(); err != nil || wd != "/home/ubuntu" {
		t.Errorf("working directory: got %q, %v", wd, err)
	}
	f, err := c.Create("made")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("content")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := g.run("cat made; stat -c ' %U' made"); got != "content ubuntu" {
		t.Errorf("got %q", got)
	}
	if _, err := c.Create("/etc/made"); err == nil {
		t.Error("created a file without permission")
	}
	if _, err := c.Open("/etc/shadow"); err == nil {
		t.Error("read a file of root")
	}
}

// A finished session sends no more keep-alives. With golang.org/x/crypto 0.52.0, each
// command kept a CPU busy on its closed channel (golang/go issue 79658).
func TestKeepAliveEnds(t *testing.T) {
	c := newSite(t).start().communicator(false)
	cmd := &packersdk.RemoteCmd{Command: "true"}
	if err := c.Start(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	stacks := make([]byte, 1<<20)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		text := string(stacks[:runtime.Stack(stacks, true)])
		if !strings.Contains(text, "communicator/ssh.(*comm).Start.func1") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("goroutines left:\n%s", text)
		}
	}
}
