// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// startUpperCaseServer starts a server on loopback that returns each line in capitals.
func startUpperCaseServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					_, _ = fmt.Fprintln(c, strings.ToUpper(lines.Text()))
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// output collects the output of a plugin.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) port(t *testing.T) string {
	t.Helper()
	for range 1000 {
		o.mu.Lock()
		text := o.text.String()
		o.mu.Unlock()
		if _, rest, ok := strings.Cut(text, "Port "); ok {
			return strings.Fields(rest)[0]
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the plugin opened no port")
	return ""
}

func sessions(t *testing.T) *Sessions {
	t.Helper()
	s := new(Sessions)
	server := httptest.NewServer(s)
	t.Cleanup(func() { s.EndAll(); server.Close() })
	s.Serve(server.URL + "/sessions/")
	return s
}

func arguments(id, url, token string) []string {
	return []string{
		fmt.Sprintf(`{"SessionId": %q, "StreamUrl": %q, "TokenValue": %q, "ResultMetadata": {}}`, id, url, token),
		"eu-central-1", "StartSession", "", `{"Parameters": {"localPortNumber": ["0"], "portNumber": ["22"]}}`, url,
	}
}

func TestTunnel(t *testing.T) {
	for _, test := range []struct {
		name string
		env  bool // pass the response in the environment, like newer AWS CLIs
		end  func(s *Sessions, id string, cancel func())
	}{
		{"ended by TerminateSession", false, func(s *Sessions, id string, _ func()) { s.End(id) }},
		{"ended by the server", false, func(s *Sessions, _ string, _ func()) { s.EndAll() }},
		{"ended by the caller", false, func(_ *Sessions, _ string, cancel func()) { cancel() }},
		{"response in the environment", true, func(s *Sessions, id string, _ func()) { s.End(id) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := sessions(t)
			id, url, token := s.Start(startUpperCaseServer(t))
			args := arguments(id, url, token)
			if test.env {
				t.Setenv("AWS_SSM_START_SESSION_RESPONSE", args[0])
				args[0] = "AWS_SSM_START_SESSION_RESPONSE"
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out, ended := new(output), make(chan error, 1)
			go func() { ended <- Plugin(ctx, args, out) }()
			port := out.port(t)
			var open net.Conn
			for _, word := range []string{"one", "two"} { // a session accepts several connections
				c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
				if err != nil {
					t.Fatal(err)
				}
				open = c
				defer func() { _ = c.Close() }()
				_, _ = fmt.Fprintln(c, word)
				if said, err := bufio.NewReader(c).ReadString('\n'); said != strings.ToUpper(word)+"\n" {
					t.Fatalf("got %q, %v", said, err)
				}
			}
			test.end(s, id, cancel)
			if err := <-ended; err != nil {
				t.Errorf("the plugin returned %v", err)
			}
			if _, err := io.ReadAll(open); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("reading the closed connection returned %v", err)
			}
		})
	}
}

func TestTunnelRefuses(t *testing.T) {
	s := sessions(t)
	id, url, token := s.Start(startUpperCaseServer(t))
	for _, test := range []struct {
		name string
		args []string
		want string // part of the error
	}{
		{"no arguments", nil, "RESPONSE REGION StartSession"},
		{"another action", []string{"{}", "r", "SendCommand", "", "{}"}, "RESPONSE REGION StartSession"},
		{"not JSON", []string{"x", "r", "StartSession", "", "{}"}, "reading the response"},
		{"stream outside loopback", arguments(id, "http://192.0.2.1/sessions/x", token), "only to loopback"},
		{"stream of AWS", arguments(id, "wss://ssmmessages.eu-central-1.amazonaws.com/v1/data-channel/x", token), "only to loopback"},
		{"wrong token", arguments(id, url, "guess"), "rejected the session"},
		{"unknown session", arguments(id, url+"x", token), "rejected the session"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := Plugin(t.Context(), test.args, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
