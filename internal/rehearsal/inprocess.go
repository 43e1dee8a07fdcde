// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"bytes"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// AWSConfig returns the configuration of clients that call the server in this process
// without a socket, for tests with their own clock.
func (s *Server) AWSConfig(region string) aws.Config {
	session := Session{Endpoint: "http://rehearsal.invalid", AccessKey: s.cfg.AccessKey, SecretKey: s.cfg.SecretKey, AccountID: AccountID}
	cfg := session.AWSConfig(region)
	cfg.HTTPClient = &http.Client{Transport: inProcess{s}}
	return cfg
}

type inProcess struct{ h http.Handler }

// RoundTrip passes a request to the handler and returns its response.
// A handler that closes the connection fails the request.
func (t inProcess) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // a panic, not an error
			answer, err = nil, io.ErrUnexpectedEOF
		} else if p != nil {
			panic(p)
		}
	}()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	t.h.ServeHTTP(w, in)
	// The SDK trims the values of a header in place; those of S3 are the stored ones.
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.header.Clone(),
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// recorder stores a response. httptest's recorder would add its flags to the plugin.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }
