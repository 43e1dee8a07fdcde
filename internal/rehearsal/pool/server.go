// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package pool is a mining pool on loopback: eth-proxy's stratum, a JSON object
// a line over TCP, as every Ethereum pool has spoken it. It believes no share:
// each is computed again, from the light cache, by code of its own.
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

// Config is what a pool mines, and how it treats miners.
type Config struct {
	// Epoch is of Ethash, or of Etchash where that is set.
	Epoch   int
	Etchash bool
	// Difficulty is how many hashes a share takes, about.
	Difficulty int64
	// Locked lets nobody in.
	Locked bool
	// Silent lets everybody in and gives no work.
	Silent bool
}

// Pool is one that runs. Its methods may be called from several goroutines.
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
	taken              map[string]bool // nonces that were accepted
}

// Start runs a pool on a free port of loopback until Close.
func Start(c Config) (*Pool, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a pool: %w", err)
	}
	p := &Pool{
		config: c, listener: listener, connections: map[net.Conn]bool{}, taken: map[string]bool{},
		light: sync.OnceValue(func() *Light { return NewLight(c.Epoch, c.Etchash) }),
	}
	most := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	most.Div(most, big.NewInt(max(1, c.Difficulty))).FillBytes(p.boundary[:])
	_, _ = rand.Read(p.header[:])
	p.wait.Go(p.accept)
	return p, nil
}

// Addr is the pool's host and port.
func (p *Pool) Addr() string { return p.listener.Addr().String() }

// Shares are how many were accepted and rejected.
func (p *Pool) Shares() (accepted, rejected int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted, p.rejected
}

// Users are those who have logged in, each as "user", "user.worker" or
// "user.worker:password".
func (p *Pool) Users() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.users...)
}

// Close ends every connection.
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
		answer := map[string]any{"id": r.ID, "jsonrpc": "2.0", "result": p.answer(r)}
		if r.Method == "eth_submitLogin" && p.config.Locked {
			answer["error"] = map[string]any{"code": -1, "message": "Login denied"}
		}
		if r.Method == "eth_getWork" && p.config.Silent {
			continue
		}
		out, err := json.Marshal(answer)
		if err != nil {
			return
		}
		if _, err := conn.Write(append(out, '\n')); err != nil {
			return
		}
	}
}

func (p *Pool) answer(r request) any {
	switch r.Method {
	case "eth_submitLogin":
		p.mu.Lock()
		defer p.mu.Unlock()
		p.users = append(p.users, who(r))
		return !p.config.Locked
	case "eth_getWork":
		seed := SeedHash(p.config.Epoch, p.config.Etchash)
		return []string{hexed(p.header[:]), hexed(seed[:]), hexed(p.boundary[:])}
	case "eth_submitWork":
		good := len(r.Params) == 3 && p.verify(r.Params[0], r.Params[1], r.Params[2])
		p.mu.Lock()
		defer p.mu.Unlock()
		if good && !p.taken[r.Params[0]] {
			p.taken[r.Params[0]] = true
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

func who(r request) string {
	name := strings.Join(r.Params[:min(1, len(r.Params))], "")
	if r.Worker != "" {
		name += "." + r.Worker
	}
	if len(r.Params) > 1 {
		name += ":" + r.Params[1]
	}
	return name
}

// verify computes a share again.
func (p *Pool) verify(nonce, header, mix string) bool {
	n, err := strconv.ParseUint(strings.TrimPrefix(nonce, "0x"), 16, 64)
	if err != nil || header != hexed(p.header[:]) {
		return false
	}
	proof, result := p.light().Evaluate(p.header, n)
	return mix == hexed(proof[:]) && bytes.Compare(result[:], p.boundary[:]) <= 0
}

func hexed(data []byte) string { return "0x" + hex.EncodeToString(data) }
