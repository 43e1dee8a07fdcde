// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package tunnel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Plugin forwards a loopback port to an instance until its session ends. It accepts the
// arguments of AWS's session-manager-plugin: the response of StartSession or the
// environment variable that contains it, the region, the action, the profile, the
// request and the endpoint.
func Plugin(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 5 || args[2] != "StartSession" {
		return errors.New("expected the arguments RESPONSE REGION StartSession PROFILE REQUEST [ENDPOINT]")
	}
	response := args[0]
	if held, ok := os.LookupEnv(response); ok {
		response = held
	}
	var opened struct{ SessionId, StreamUrl, TokenValue string } //nolint:revive // names of the API
	if err := json.Unmarshal([]byte(response), &opened); err != nil {
		return fmt.Errorf("reading the response of StartSession: %w", err)
	}
	var request struct{ Parameters map[string][]string }
	if err := json.Unmarshal([]byte(args[4]), &request); err != nil {
		return fmt.Errorf("reading the request of StartSession: %w", err)
	}
	port := "0"
	if given := request.Parameters["localPortNumber"]; len(given) > 0 {
		port = given[0]
	}
	at, err := url.Parse(opened.StreamUrl)
	if err != nil {
		return fmt.Errorf("reading the stream's URL: %w", err)
	}
	if ip := net.ParseIP(at.Hostname()); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("the stream's URL is %s; a rehearsal connects only to loopback", opened.StreamUrl)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return fmt.Errorf("listening on the local port: %w", err)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	context.AfterFunc(ctx, func() { _ = listener.Close() })

	watched, err := dial(ctx, at, opened.TokenValue, false)
	if err != nil {
		return err
	}
	defer func() { _ = watched.Close() }()
	go func() {
		// The response arrives at the session's end, and also if the server dies.
		response, err := http.ReadResponse(watched.in.(*bufio.Reader), nil) //nolint:bodyclose // closing the connection closes it
		if err == nil && response.StatusCode != http.StatusOK {
			end(fmt.Errorf("the rehearsal rejected the session %s: %s", opened.SessionId, response.Status))
			return
		}
		end(nil)
	}()
	_, _ = fmt.Fprintf(out, "Starting session with SessionId: %s\nPort %d opened for sessionId %[1]s.\nWaiting for connections...\n",
		opened.SessionId, listener.Addr().(*net.TCPAddr).Port)
	for {
		here, err := listener.Accept()
		if err != nil {
			switch cause := context.Cause(ctx); {
			case cause == nil:
				return fmt.Errorf("accepting a connection: %w", err)
			case errors.Is(cause, context.Canceled): // the session or its caller has ended
				return nil
			default:
				return cause
			}
		}
		go func() {
			defer func() { _ = here.Close() }()
			there, err := dial(ctx, at, opened.TokenValue, true)
			if err != nil {
				return // the client gets no data and retries
			}
			defer func() { _ = there.Close() }()
			copyBoth(ctx.Done(), conn{here, here}, there)
		}()
	}
}

// dial sends a session's request and reads the response to an upgrade.
func dial(ctx context.Context, at *url.URL, token string, upgrade bool) (conn, error) {
	var none conn
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return none, fmt.Errorf("connecting to the session: %w", err)
	}
	request := &http.Request{Method: http.MethodGet, URL: at, Host: at.Host, Header: http.Header{tokenHeader: {token}}}
	if upgrade {
		request.Header.Set("Connection", "Upgrade")
		request.Header.Set("Upgrade", protocol)
	}
	in := bufio.NewReader(c)
	if err := request.Write(c); err != nil {
		return none, errors.Join(fmt.Errorf("connecting to the session: %w", err), c.Close())
	}
	if !upgrade {
		return conn{c, in}, nil
	}
	response, err := http.ReadResponse(in, request) //nolint:bodyclose // the body is the connection
	if err != nil {
		return none, errors.Join(fmt.Errorf("connecting to the session: %w", err), c.Close())
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return none, errors.Join(fmt.Errorf("the session rejected a connection: %s", response.Status), c.Close())
	}
	return conn{c, in}, nil
}
