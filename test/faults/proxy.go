// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/awsjson"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// call identifies a request to AWS.
type call struct {
	Service, Region, Action string
	DryRun                  bool
}

func (c call) String() string {
	text := c.Service + ":" + c.Action
	if c.DryRun {
		text += " (dry run)"
	}
	return text + " in " + c.Region
}

// operation returns the name of the action in errors.
func (c call) operation() string {
	verb, kind, ok := strings.Cut(c.Action, " ")
	if !ok {
		return c.Action
	}
	kind, _, _ = strings.Cut(kind, "?")
	return verb[:1] + strings.ToLower(verb[1:]) + strings.ToUpper(kind[:1]) + kind[1:]
}

// callOf identifies a request by its signature, and by the action in its body, its
// header, or its method and path.
func callOf(r *http.Request, body []byte) call {
	c := call{Service: "unsigned", Region: "none"}
	if _, scope, ok := strings.Cut(r.Header.Get("Authorization"), "Credential="); ok {
		if parts := strings.Split(scope, "/"); len(parts) > 4 {
			c.Region, c.Service = parts[2], parts[3]
		}
	}
	target := r.Header.Get(awsjson.TargetHeader)
	form, _ := url.ParseQuery(string(body)) // an invalid body has no action
	switch {
	case target != "":
		c.Action = target[strings.LastIndexByte(target, '.')+1:]
	case c.Service == "s3":
		c.Action = r.Method + kindOfPath(r.URL)
	default:
		c.Action = form.Get("Action")
		c.DryRun = form.Get("DryRun") == "true"
	}
	return c
}

// kindOfPath describes the target of an S3 request: a bucket, an object, or one of
// their settings.
func kindOfPath(u *url.URL) string {
	text := " bucket"
	if strings.Count(strings.Trim(u.Path, "/"), "/") > 0 {
		text = " object"
	}
	for name := range u.Query() {
		if u.Query().Get(name) == "" {
			text += "?" + name
		}
	}
	return text
}

// proxy passes requests on to an AWS, records them, and injects one fault. Clients do
// not know of it.
type proxy struct {
	aws    *rehearsal.Server
	target target
	fault  *fault // nil for none
	signal func() // for faults that signal the build

	mu     sync.Mutex
	calls  []call
	seen   map[call]int
	struck int // requests that the fault changed
}

// heal ends the fault.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = nil
}

// start serves the proxy on loopback.
func (p *proxy) start() *httptest.Server {
	p.seen = map[call]int{}
	return httptest.NewServer(p)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	what := callOf(r, body)
	f := p.strikes(what)
	if f == nil {
		p.aws.ServeHTTP(w, r)
		return
	}
	if f.world != nil {
		p.aws.AddFault(f.world(what))
	}
	switch f.how {
	case pass:
		p.aws.ServeHTTP(w, r)
	case refuse:
		fail(w, what, cmp.Or(f.code, notFoundCodes[what.Action]), f.status)
	case reset:
		hangUp(w, nil)
	case cut, lose, fail500:
		out := httptest.NewRecorder()
		p.aws.ServeHTTP(out, r)
		switch {
		case out.Code >= 300: // there was no work to lose
			copyTo(w, out)
		case f.how == fail500:
			fail(w, what, "InternalError", http.StatusInternalServerError)
		case f.how == cut && out.Body.Len() > 1:
			hangUp(w, half(out))
		default:
			hangUp(w, nil)
		}
	case silence:
		select { // the client gives up, which its connection shows
		case <-r.Context().Done():
		case <-time.After(silenceLimit):
		}
		hangUp(w, nil)
	case signalBefore:
		p.signal()
		time.Sleep(signalLead)
		p.aws.ServeHTTP(w, r)
	case signalAfter:
		out := httptest.NewRecorder()
		p.aws.ServeHTTP(out, r)
		p.signal()
		time.Sleep(signalLead)
		copyTo(w, out)
	}
}

// Limits of a request's delay.
const (
	silenceLimit = 30 * time.Second
	signalLead   = 100 * time.Millisecond // until the build has received a signal
)

// strikes records a request, and returns the fault that applies to it, or nil.
func (p *proxy) strikes(what call) *fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, what)
	p.seen[what]++
	f := p.fault
	if f == nil || p.struck > 0 && f.times > 0 && p.struck >= f.times {
		return nil
	}
	matches := what == p.target.call && p.seen[what] >= p.target.nth
	if f.region {
		matches = (matches || p.struck > 0) && what.Region == p.target.Region && what.Service == p.target.Service
	}
	if !matches {
		return nil
	}
	p.struck++
	return f
}

// hangUp closes a connection, after a part of a response, or by a reset.
func hangUp(w http.ResponseWriter, part []byte) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && part == nil {
		_ = tcp.SetLinger(0) // the client's error may be another one
	}
	_, _ = conn.Write(part) // the client may be gone
	_ = conn.Close()
}

// half returns the head and half of the body of a response.
func half(out *httptest.ResponseRecorder) []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "HTTP/1.1 %d %s\r\n", out.Code, http.StatusText(out.Code))
	head := out.Header().Clone()
	head.Set("Content-Length", fmt.Sprint(out.Body.Len()))
	_ = head.Write(&text) // a buffer takes all writes
	text.WriteString("\r\n")
	text.Write(out.Body.Bytes()[:out.Body.Len()/2])
	return text.Bytes()
}

func copyTo(w http.ResponseWriter, out *httptest.ResponseRecorder) {
	for name, values := range out.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(out.Code)
	_, _ = w.Write(out.Body.Bytes()) // the client may be gone
}

// fail writes an error response in the protocol of the service.
func fail(w http.ResponseWriter, what call, code string, status int) {
	e := &query.Error{Code: code, Message: "An injected fault.", Status: status}
	switch {
	case what.Service == "s3":
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, e.Message)
		return
	case jsonServices[what.Service]:
		w.Header().Set("Content-Type", awsjson.Protocol{}.ContentType())
		w.WriteHeader(status)
		_, _ = w.Write(awsjson.Protocol{}.Failure("", e))
		return
	}
	dialect := query.DialectOf(what.Service)
	w.Header().Set("Content-Type", dialect.ContentType())
	w.WriteHeader(status)
	_, _ = w.Write(dialect.Failure("00000000-0000-4000-a000-000000000000", e))
}

// jsonServices have the JSON protocol.
var jsonServices = map[string]bool{"ssm": true, "kms": true, "pricing": true, "servicequotas": true, "monitoring": true}
