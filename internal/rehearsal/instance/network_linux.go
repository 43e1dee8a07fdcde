// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/imds"
)

// A machine has a network namespace of its own. pasta connects it to the host's network
// as a user-mode router does, so that nothing of the host's network changes. The
// server listens in the namespace as metadata service and name server, and forwards
// connections to the machine's address on the host's loopback to its SSH server.

// network is the network of a running machine.
type network struct {
	namespace *os.File
	router    *exec.Cmd
	routed    chan struct{} // closed once the router has ended
	metadata  *http.Server
	names     net.PacketConn
	listener  net.Listener

	mu    sync.Mutex
	conns map[net.Conn]bool // nil once closed
}

// connectNetwork sets up the network of a machine whose first process is leader.
func (m *machine) connectNetwork(ctx context.Context, leader int) (*network, error) {
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", leader))
	if err != nil {
		return nil, err
	}
	n := &network{namespace: namespace, conns: map[net.Conn]bool{}}
	if err := n.connect(ctx, m, leader); err != nil {
		n.close()
		return nil, fmt.Errorf("connecting the network: %w", err)
	}
	return n, nil
}

func (n *network) connect(ctx context.Context, m *machine, leader int) error {
	target := fmt.Sprintf("/proc/%d/ns/net", leader)
	err := m.host.run(ctx, "link set lo up\naddress add "+imds.Address+"/32 dev lo\naddress add "+nameServer+"/32 dev lo\n", "/usr/bin/nsenter", "--net="+target, "ip", "-batch", "-")
	if err != nil {
		return err
	}
	if err := n.route(ctx, m); err != nil {
		return err
	}
	if err := n.serveNames(); err != nil {
		return err
	}
	listener, err := n.listen(net.JoinHostPort(imds.Address, "80"))
	if err != nil {
		return err
	}
	n.metadata = &http.Server{Handler: m.metadata, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = n.metadata.Serve(listener) }() // ends with close
	return nil
}

// route starts the router. A host without a network has none, and its machines are
// offline.
func (n *network) route(ctx context.Context, m *machine) error {
	if !online() {
		return nil
	}
	// --runas 0: the namespace belongs to the machine's user namespace, which another
	// user cannot enter.
	n.router = m.host.program("/usr/bin/pasta", "--foreground", "--quiet", "--stderr", "--netns-only", "--runas", "0", "--config-net", "--ipv4-only",
		"--address", m.privateIP(), "--netmask", "255.255.0.0", "--gateway", Gateway, "--ns-ifname", "eth0",
		"--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none", "--netns", "/proc/self/fd/3")
	n.router.ExtraFiles = []*os.File{n.namespace} // 3; pasta may not open that of another process
	log, err := os.Create(m.hostPath("router.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	n.router.Stdout, n.router.Stderr = log, log
	if err := m.host.start(n.router); err != nil {
		return err
	}
	n.routed = make(chan struct{})
	go func() {
		_ = n.router.Wait() // the log tells why
		close(n.routed)
	}()
	for {
		up := false
		err := n.inside(func() error {
			card, err := net.InterfaceByName("eth0")
			if err == nil {
				addresses, _ := card.Addrs() // none yet
				up = card.Flags&net.FlagUp != 0 && len(addresses) > 0
			}
			return nil
		})
		if err != nil || up {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-n.routed:
			text, _ := os.ReadFile(m.hostPath("router.log"))
			return fmt.Errorf("pasta ended: %s", text)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// online reports whether the host has a default route.
func online() bool {
	for _, f := range fieldsOf("/proc/net/route") {
		if len(f) > 7 && f[1] == "00000000" && f[7] == "00000000" {
			return true
		}
	}
	return false
}

// inside runs f on a thread in the machine's network namespace. Sockets that f creates
// stay there.
func (n *network) inside(f func() error) error {
	result := make(chan error, 1)
	go onThread(func() {
		if err := unix.Setns(int(n.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("entering the machine's network namespace: %w", err)
			return
		}
		result <- f()
	})
	return <-result
}

// onThread runs f on a thread of its own, which ends with f.
func onThread(f func()) {
	runtime.LockOSThread() // never unlocked, so that the thread ends with the goroutine
	if unix.Gettid() == os.Getpid() {
		// /proc/self shows the main thread's namespaces, and the main thread cannot end.
		// Use another thread.
		go onThread(f)
		runtime.UnlockOSThread()
		return
	}
	f()
}

func (n *network) listen(address string) (listener net.Listener, err error) {
	return listener, n.inside(func() error {
		listener, err = net.Listen("tcp4", address)
		return err
	})
}

// dialSSH connects to the machine's SSH server.
func (n *network) dialSSH() (conn net.Conn, err error) {
	return conn, n.inside(func() error {
		conn, err = net.DialTimeout("tcp4", "127.0.0.1:22", 10*time.Second)
		return err
	})
}

// serveSSH forwards connections to address to the machine's SSH server, until close.
func (n *network) serveSSH(address string, port int) error {
	listener, err := net.Listen("tcp4", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	n.listener = listener
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go n.forward(conn)
		}
	}()
	return nil
}

// forward copies data between a client and the machine.
func (n *network) forward(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := n.dialSSH()
	if err != nil {
		reset(client) // like a port where nothing listens
		return
	}
	defer func() { _ = server.Close() }()
	if !n.hold(client, server) {
		return
	}
	defer n.release(client, server)
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1]) // the end of either side
			if half, ok := pair[0].(*net.TCPConn); ok {
				_ = half.CloseWrite() // it may have ended
			}
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}

// reset ends a connection with a reset.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing then sends a reset
	}
}

// hold registers connections that close resets; it reports false after close.
func (n *network) hold(conns ...net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range conns {
		if n.conns == nil {
			return false
		}
		n.conns[c] = true
	}
	return true
}

func (n *network) release(conns ...net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range conns {
		delete(n.conns, c)
	}
}

// close ends the network of a machine that is off.
func (n *network) close() {
	if n.listener != nil {
		_ = n.listener.Close()
	}
	if n.metadata != nil {
		_ = n.metadata.Close()
	}
	if n.names != nil {
		_ = n.names.Close()
	}
	n.mu.Lock()
	conns := n.conns
	n.conns = nil
	n.mu.Unlock()
	for c := range conns {
		reset(c)
		_ = c.Close()
	}
	if n.router != nil && n.routed != nil {
		_ = n.router.Process.Kill()
		<-n.routed
	}
	_ = n.namespace.Close()
}

// awaitSSH waits until the machine's SSH server answers.
func (n *network) awaitSSH(ctx context.Context, ended <-chan struct{}) error {
	for {
		if n.answersSSH() {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ended:
			return errDown
		case <-ctx.Done():
			return fmt.Errorf("waiting for SSH: %w", ctx.Err())
		}
	}
}

func (n *network) answersSSH() bool {
	conn, err := n.dialSSH()
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	banner := make([]byte, len("SSH-"))
	err = errors.Join(conn.SetDeadline(time.Now().Add(10*time.Second)), func() error { _, err := io.ReadFull(conn, banner); return err }())
	return err == nil && string(banner) == "SSH-"
}
