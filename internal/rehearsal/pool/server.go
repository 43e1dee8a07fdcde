// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package pool implements a mining pool on loopback with eth-proxy's stratum protocol:
// one JSON object for each line over TCP. It verifies each share independently with
// the light cache.
package pool

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
)

// Config configures a pool.
type Config struct {
	// Epoch is the epoch of Ethash, or of Etchash if that is set.
	Epoch   int
	Etchash bool
	// Difficulty is the approximate number of hashes for each share.
	Difficulty int64
	// Locked rejects every login.
	Locked bool
	// Silent accepts every login and sends no work.
	Silent bool
}

// Pool is a running pool. Its methods are safe for concurrent use.
type Pool struct {
	config   Config
	listener net.Listener
	light    func() *Light
	boundary [32]byte
	header   [32]byte
	wait     sync.WaitGroup

	mu                 sync.Mutex
	connections        map[net.Conn]bool
	closed             bool
	accepted, rejected int
	users              []string
	acceptedNonces     map[string]bool // accepted nonces
}

// Start runs a pool on a free port of loopback until Close.
func Start(c Config) (*Pool, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a pool: %w", err)
	}
	p := &Pool{
		config: c, listener: listener, connections: map[net.Conn]bool{}, acceptedNonces: map[string]bool{},
		light: sync.OnceValue(func() *Light { return NewLight(c.Epoch, c.Etchash) }),
	}
	most := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	most.Div(most, big.NewInt(max(1, c.Difficulty))).FillBytes(p.boundary[:])
	_, _ = rand.Read(p.header[:])
	p.wait.Go(p.accept)
	return p, nil
}

// Addr returns the pool's host and port.
func (p *Pool) Addr() string { return p.listener.Addr().String() }

// Shares returns the numbers of accepted and rejected shares.
func (p *Pool) Shares() (accepted, rejected int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted, p.rejected
}

// Users returns the logins, each as "user", "user.worker" or "user.worker:password".
func (p *Pool) Users() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.users...)
}

// Close closes every connection.
func (p *Pool) Close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for conn := range p.connections {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.wait.Wait()
}

func (p *Pool) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		closed := p.closed
		p.connections[conn] = true
		p.mu.Unlock()
		if closed {
			_ = conn.Close()
			return
		}
		p.wait.Go(func() {
			p.serve(conn)
			_ = conn.Close()
			p.mu.Lock()
			delete(p.connections, conn)
			p.mu.Unlock()
		})
	}
}

type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params []string        `json:"params"`
	Worker string          `json:"worker"`
}

func (p *Pool) serve(conn net.Conn) {
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return
		}
		response := map[string]any{"id": r.ID, "jsonrpc": "2.0", "result": p.response(r)}
		if r.Method == "eth_submitLogin" && p.config.Locked {
			response["error"] = map[string]any{"code": -1, "message": "Login denied"}
		}
		if r.Method == "eth_getWork" && p.config.Silent {
			continue
		}
		out, err := json.Marshal(response)
		if err != nil {
			return
		}
		if _, err := conn.Write(append(out, '\n')); err != nil {
			return
		}
	}
}

func (p *Pool) response(r request) any {
	switch r.Method {
	case "eth_submitLogin":
		p.mu.Lock()
		defer p.mu.Unlock()
		p.users = append(p.users, loginOf(r))
		return !p.config.Locked
	case "eth_getWork":
		seed := SeedHash(p.config.Epoch, p.config.Etchash)
		return []string{toHex(p.header[:]), toHex(seed[:]), toHex(p.boundary[:])}
	case "eth_submitWork":
		good := len(r.Params) == 3 && p.verify(r.Params[0], r.Params[1], r.Params[2])
		p.mu.Lock()
		defer p.mu.Unlock()
		if good && !p.acceptedNonces[r.Params[0]] {
			p.acceptedNonces[r.Params[0]] = true
			p.accepted++
			return true
		}
		p.rejected++
		return false
	case "eth_submitHashrate":
		return true
	}
	return nil
}

func loginOf(r request) string {
	name := strings.Join(r.Params[:min(1, len(r.Params))], "")
	if r.Worker != "" {
		name += "." + r.Worker
	}
	if len(r.Params) > 1 {
		name += ":" + r.Params[1]
	}
	return name
}

// verify recomputes a share.
func (p *Pool) verify(nonce, header, mix string) bool {
	n, err := strconv.ParseUint(strings.TrimPrefix(nonce, "0x"), 16, 64)
	if err != nil || header != toHex(p.header[:]) {
		return false
	}
	proof, result := p.light().Evaluate(p.header, n)
	return mix == toHex(proof[:]) && bytes.Compare(result[:], p.boundary[:]) <= 0
}

func toHex(data []byte) string { return "0x" + hex.EncodeToString(data) }
