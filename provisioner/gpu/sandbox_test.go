// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/sdk-internals/communicator/ssh"
	gossh "golang.org/x/crypto/ssh"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// rehearsed is an instance of a rehearsal, with Packer's SSH communicator.
type rehearsed struct {
	packersdk.Communicator
	instance.Machine
	connections []net.Conn
	mu          sync.Mutex
}

// drop closes every connection, like a network failure.
func (in *rehearsed) drop() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, c := range in.connections {
		_ = c.Close()
	}
	in.connections = nil
}

func (in *rehearsed) run(t *testing.T, command string) string {
	t.Helper()
	var out, diag bytes.Buffer
	cmd := &packersdk.RemoteCmd{Command: command, Stdout: &out, Stderr: &diag}
	if err := in.Start(context.Background(), cmd); err != nil {
		t.Fatal(err)
	}
	if status := cmd.Wait(); status != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", command, status, out.String(), diag.String())
	}
	return out.String()
}

// rehearse boots a machine on a host.
func rehearse(t *testing.T, host instance.Host, user, address string) *rehearsed {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m, err := host.Start(ctx, instance.Spec{ID: "i-" + user, User: user, AuthorizedKeys: gossh.MarshalAuthorizedKey(key.PublicKey()), Address: address})
	if err != nil {
		t.Fatal(err)
	}
	to := net.JoinHostPort(address, strconv.Itoa(host.Port()))
	in := &rehearsed{Machine: m}
	in.Communicator, err = ssh.New(to, &ssh.Config{
		Connection: func() (net.Conn, error) {
			c, err := net.DialTimeout("tcp", to, 10*time.Second)
			if err == nil {
				in.mu.Lock()
				in.connections = append(in.connections, c)
				in.mu.Unlock()
			}
			return c, err
		},
		SSHConfig: &gossh.ClientConfig{User: user, Auth: []gossh.AuthMethod{gossh.PublicKeys(key)}, HostKeyCallback: gossh.InsecureIgnoreHostKey()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func rehearsalHost(t *testing.T) instance.Host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root for a rehearsal's instance")
	}
	for _, tool := range []string{"cmake", "c++", "ninja"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: needs %s, since no test downloads: apt-get install cmake g++ ninja-build", tool)
		}
	}
	host, err := instance.NewHost(t.TempDir(), instance.HostBase)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return host
}

func provisionOver(t *testing.T, comm packersdk.Communicator, options map[string]any) (string, error) {
	t.Helper()
	all := map[string]any{
		"source": "../../example/miner", "device": "cpu", "benchmark_block": 1,
		"benchmark_warmup": "0s", "benchmark_duration": "3s",
	}
	for k, v := range options {
		all[k] = v
	}
	var p Provisioner
	if err := p.Prepare(all); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	ui := &packersdk.BasicUi{Reader: strings.NewReader(""), Writer: &said, ErrorWriter: &said}
	err := p.Provision(t.Context(), ui, comm, nil)
	return said.String(), err
}

// maxGrowthMB limits the growth of the image, not counting the driver.
const maxGrowthMB = 20

var grownBy = regexp.MustCompile(`grew by (-?[0-9.]+) MB`)

// TestProvisionOverSSH: the whole plan on a rehearsal's instance, as root and
// as a user with sudo, twice.
func TestProvisionOverSSH(t *testing.T) {
	host := rehearsalHost(t)
	// All files of an image, except those that its services write.
	const fingerprint = `sudo find /etc /usr /opt /home /root /boot /var/lib -xdev -type f -printf '%p %s %m %T@ %C@\n' 2>/dev/null | sort | sha256sum`
	for user, address := range map[string]string{"ubuntu": "127.77.21.1", "root": "127.77.21.2"} {
		t.Run(user, func(t *testing.T) {
			in := rehearse(t, host, user, address)
			start := time.Now()
			said, err := provisionOver(t, in, nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			first := time.Since(start)
			grown := grownBy.FindStringSubmatch(said)
			if grown == nil {
				t.Fatalf("got output without the growth:\n%s", said)
			}
			if mb, _ := strconv.ParseFloat(grown[1], 64); mb >= maxGrowthMB {
				t.Errorf("got the root volume grown by %v MB, want less than %d", mb, maxGrowthMB)
			}
			t.Logf("grown by %s MB", grown[1])
			if got := in.run(t, "stat -c '%U %a' /usr/local/bin/ethminer /etc/ethminer/inventory.json; ls /etc/ethminer; ls -d /tmp/ethminer-gpu* 2>/dev/null; ls /etc/ssh/ssh_host* ~/.ssh/authorized_keys 2>/dev/null; true"); got != "root 755\nroot 644\nbenchmark.json\ninventory.json\npackages.txt\nphases\n" {
				t.Errorf("got files %q on the image", got)
			}
			before := in.run(t, fingerprint)

			start = time.Now()
			said, err = provisionOver(t, in, nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			if second := time.Since(start); second > first/5 {
				t.Errorf("got %s for the second run, want a fifth of the first's %s or less", second, first)
			} else {
				t.Logf("first run %s, second %s", first, second)
			}
			if after := in.run(t, fingerprint); after != before {
				t.Errorf("the second run changed the image:\n%s", said)
			}
		})
	}
}

// dropping loses the connection at the first upload of each file, and at the first start
// of each script.
type dropping struct {
	*rehearsed
	uploaded, started map[string]bool
}

var scriptOf = regexp.MustCompile(`/ethminer-gpu-[0-9]+/([a-z]+)\.sh\b`)

func (d dropping) Upload(path string, data io.Reader, info *os.FileInfo) error {
	if !d.uploaded[path] {
		d.uploaded[path] = true
		d.drop()
	}
	return d.rehearsed.Upload(path, data, info)
}

func (d dropping) Start(ctx context.Context, cmd *packersdk.RemoteCmd) error {
	err := d.rehearsed.Start(ctx, cmd)
	names := scriptOf.FindAllStringSubmatch(cmd.Command, -1)
	if len(names) < 2 || d.started[names[1][1]] { // run.sh and its script
		return err
	}
	d.started[names[1][1]] = true
	d.drop()
	return err
}

// TestConnectionLossInEachScript: the run resumes after a loss, and the next run after
// too many.
func TestConnectionLossInEachScript(t *testing.T) {
	host := rehearsalHost(t)
	in := rehearse(t, host, "ubuntu", "127.77.21.3")
	// The last script removes the keys, so that a loss in it is final.
	lossy := dropping{in, map[string]bool{}, map[string]bool{"leave": true}}
	all := ""
	for {
		before := len(lossy.started)
		said, err := provisionOver(t, lossy, nil)
		all += said
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), ": failed after ") || !strings.Contains(err.Error(), "the connection to the instance was lost while ") {
			t.Fatalf("got error %v\n%s", err, said)
		}
		if lost := len(lossy.started) - before; lost != mostResumes+1 {
			t.Fatalf("got an error after %d losses, want %d: %v\n%s", lost, mostResumes+1, err, said)
		}
	}
	for _, script := range strings.Fields("detect toolkit source edits configure build install unit benchmark report clean leave stamp") {
		if !lossy.started[script] {
			t.Errorf("%s has lost no connection:\n%s", script, all)
		}
	}
	if n := strings.Count(all, "build: done in"); n != 1 {
		t.Errorf("the build ended %d times, want once:\n%s", n, all)
	}
	if got := in.run(t, `ls -d /tmp/ethminer-gpu* 2>/dev/null; sudo grep -l /ethminer-gpu- /proc/[0-9]*/cmdline | grep -v "/$$/" | xargs -r -n 1 cat 2>/dev/null | tr '\0' ' '; test -x /usr/local/bin/ethminer && echo installed`); got != "installed\n" {
		t.Errorf("files and processes on the instance: %q", got)
	}
}

// TestRehearsalReboot: Packer's communicator reconnects.
func TestRehearsalReboot(t *testing.T) {
	host := rehearsalHost(t)
	in := rehearse(t, host, "ubuntu", "127.77.21.4")
	var p Provisioner
	if err := p.Prepare(map[string]any{"source": "../../example/miner"}); err != nil {
		t.Fatal(err)
	}
	m, err := remote.New(t.Context(), in, remote.Settings{Scripts: scriptFiles(), Sudo: true})
	if err != nil {
		t.Fatal(err)
	}
	before := m.Work
	r := newRun(&p, packersdk.TestUi(t), m)
	if err := r.machine.Reboot(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Run(t.Context(), remote.Script{Name: "detect", Bound: time.Minute}); err != nil || m.Work != before {
		t.Errorf("after the reboot: got error %v, scratch folder %s", err, m.Work)
	}
	// The instance does not return from its reboot.
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	go func() {
		time.Sleep(1500 * time.Millisecond)
		_ = in.Stop(context.Background())
	}()
	if err := r.machine.Reboot(ctx, 6*time.Second); err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "did not come back") {
		t.Errorf("stopped instance: got error %v", err)
	}
}
