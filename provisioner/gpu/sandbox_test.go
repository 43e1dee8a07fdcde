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
)

// rehearsed is an instance of a rehearsal, reached as Packer reaches one.
type rehearsed struct {
	packersdk.Communicator
	instance.Machine
	connections []net.Conn
	mu          sync.Mutex
}

// drop cuts every connection, as a network does.
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

// rehearse boots a machine of a host.
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
	host, err := instance.NewHost(t.TempDir())
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

// maxGrowthMB is what the image may grow by besides the driver.
const maxGrowthMB = 20

var grownBy = regexp.MustCompile(`grown by (-?[0-9.]+) MB`)

// TestProvisionOverSSH: the whole plan on a rehearsal's instance, as root and
// as a user with sudo, twice.
func TestProvisionOverSSH(t *testing.T) {
	host := rehearsalHost(t)
	// Everything that is part of an image, but for what its own services write.
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
				t.Fatalf("no growth is told:\n%s", said)
			}
			if mb, _ := strconv.ParseFloat(grown[1], 64); mb >= maxGrowthMB {
				t.Errorf("the root volume has grown by %v MB, expected less than %d", mb, maxGrowthMB)
			}
			t.Logf("grown by %s MB", grown[1])
			if got := in.run(t, "stat -c '%U %a' /usr/local/bin/ethminer /etc/ethminer/inventory.json; ls /etc/ethminer; ls -d /tmp/ethminer-gpu* 2>/dev/null; ls /etc/ssh/ssh_host* ~/.ssh/authorized_keys 2>/dev/null; true"); got != "root 755\nroot 644\nbenchmark.json\ninventory.json\npackages.txt\nphases\n" {
				t.Errorf("on the image: %q", got)
			}
			before := in.run(t, fingerprint)

			start = time.Now()
			said, err = provisionOver(t, in, nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			if second := time.Since(start); second > first/5 {
				t.Errorf("the second run took %s, the first %s: expected a fifth or less", second, first)
			} else {
				t.Logf("first run %s, second %s", first, second)
			}
			if after := in.run(t, fingerprint); after != before {
				t.Errorf("the second run changed the image:\n%s", said)
			}
		})
	}
}

// TestConnectionThatDropsMidBuild: what ran ends, and the next run goes on.
func TestConnectionThatDropsMidBuild(t *testing.T) {
	host := rehearsalHost(t)
	in := rehearse(t, host, "ubuntu", "127.77.21.3")
	go func() {
		for t.Context().Err() == nil {
			cmd := &packersdk.RemoteCmd{Command: "ls /tmp/ethminer-gpu-*/build.pid", Stdout: io.Discard, Stderr: io.Discard}
			if in.Start(context.Background(), cmd) == nil && cmd.Wait() == 0 {
				in.drop()
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	said, err := provisionOver(t, in, nil)
	if err == nil || !strings.Contains(err.Error(), "build: failed after") || !strings.Contains(err.Error(), "connection to the instance was lost") {
		t.Fatalf("error: %v\n%s", err, said)
	}
	said, err = provisionOver(t, in, map[string]any{"phases": []string{"build", "install"}})
	if err != nil || !strings.Contains(said, "build: done in") || !strings.Contains(said, "install: done in") {
		t.Errorf("%v\n%s", err, said)
	}
}

// TestRebootOfARehearsal: Packer's communicator finds its way back.
func TestRebootOfARehearsal(t *testing.T) {
	host := rehearsalHost(t)
	in := rehearse(t, host, "ubuntu", "127.77.21.4")
	var p Provisioner
	if err := p.Prepare(map[string]any{"source": "../../example/miner"}); err != nil {
		t.Fatal(err)
	}
	m, err := newMachine(t.Context(), in, "", true)
	if err != nil {
		t.Fatal(err)
	}
	before := m.work
	r := newRun(&p, packersdk.TestUi(t), m)
	r.rebootPatience = time.Minute
	if err := r.reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.run(t.Context(), script{name: "detect", bound: time.Minute}); err != nil || m.work != before {
		t.Errorf("after the reboot: %v, scratch folder %s", err, m.work)
	}
	// And one that stays away.
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	go func() {
		time.Sleep(1500 * time.Millisecond)
		_ = in.Stop(context.Background())
	}()
	r.rebootPatience = 6 * time.Second
	if err := r.reboot(ctx); err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "did not come back") {
		t.Errorf("an instance that is off: %v", err)
	}
}
