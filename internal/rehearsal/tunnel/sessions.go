// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package tunnel implements Session Manager's port forwarding in a rehearsal. Sessions
// is AWS's side and part of the server. Plugin is the caller's side and replaces AWS's
// program session-manager-plugin.
//
// A session has a URL and a token. A plain request to the URL returns when the session
// ends. A request with an upgrade becomes a connection to the instance.
package tunnel

import (
	"crypto/rand"
	"crypto/subtle"
	"io"
	"net"
	"net/http"
	"path"
	"sync"
	"time"
)

const (
	tokenHeader = "X-Rehearsal-Token" //nolint:gosec // a header name
	protocol    = "tcp"               // protocol of an upgrade request
)

// Sessions contains the open sessions.
type Sessions struct {
	mu   sync.Mutex
	base string
	open map[string]*session
}

type session struct {
	token, address string
	ended          chan struct{}
}

// Serve sets the base URL of the sessions, to which the id is appended.
func (s *Sessions) Serve(base string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = base
}

// Start opens a session to an address, and returns the parameters of its plugin.
func (s *Sessions) Start(address string) (id, url, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[string]*session{}
	}
	id, token = "rehearsal-"+rand.Text()[:17], rand.Text()
	s.open[id] = &session{token: token, address: address, ended: make(chan struct{})}
	return id, s.base + id, token
}

// End closes a session and its connections. It ignores sessions that are not open.
func (s *Sessions) End(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.open[id]; one != nil {
		close(one.ended)
		delete(s.open, id)
	}
}

// EndAll ends all open sessions.
func (s *Sessions) EndAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, one := range s.open {
		close(one.ended)
		delete(s.open, id)
	}
}

// ServeHTTP serves a request to a session's URL.
func (s *Sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	one := s.open[path.Base(r.URL.Path)]
	s.mu.Unlock()
	if one == nil || subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(one.token)) != 1 {
		http.Error(w, "unknown session, or wrong token", http.StatusForbidden)
		return
	}
	if r.Header.Get("Upgrade") != protocol {
		select {
		case <-one.ended:
		case <-r.Context().Done():
		}
		return
	}
	there, err := net.DialTimeout("tcp", one.address, 5*time.Second)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = there.Close() }()
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "the server does not support upgrades", http.StatusNotImplemented)
		return
	}
	here, buffered, err := hijacker.Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = here.Close() }()
	if _, err := io.WriteString(here, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n"); err != nil {
		return
	}
	copyBoth(one.ended, conn{here, buffered.Reader}, conn{there, there})
}

// conn is a connection with a buffered reader.
type conn struct {
	net.Conn
	in io.Reader
}

// copyBoth copies data between two connections in both directions, until both are at their
// end or ended is closed.
func copyBoth(ended <-chan struct{}, a, b conn) {
	over := make(chan struct{}, 2)
	pass := func(to, from conn) {
		_, _ = io.Copy(to.Conn, from.in) // at the end of one side, close the other
		if half, ok := to.Conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		over <- struct{}{}
	}
	go pass(a, b)
	go pass(b, a)
	for range 2 {
		select {
		case <-over:
		case <-ended:
			return
		}
	}
}
