// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxBody is the maximum size of a request to a service other than S3, in bytes.
const maxBody = 8 << 20

// signature is the signature of a request (Signature Version 4), from its header or its
// query.
type signature struct {
	date, time string
	headers    []string // the names of the signed headers, in lower case
	value      string
}

// signatureOf returns the signature of a request.
func signatureOf(r *http.Request, at scope) signature {
	header := r.Header.Get("Authorization")
	if header == "" {
		q := r.URL.Query()
		return signature{at.date, q.Get("X-Amz-Date"), strings.Split(q.Get("X-Amz-SignedHeaders"), ";"), q.Get("X-Amz-Signature")}
	}
	part := func(name string) string {
		_, rest, _ := strings.Cut(header, name+"=")
		value, _, _ := strings.Cut(rest, ",")
		return strings.TrimSpace(value)
	}
	return signature{at.date, r.Header.Get("X-Amz-Date"), strings.Split(part("SignedHeaders"), ";"), part("Signature")}
}

// signed reports whether a request is signed with a secret key
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
// The signature includes the body, except for S3, which compares the body with the hash
// in a signed header.
func signed(r *http.Request, at scope, secret string) (bool, error) {
	sent := signatureOf(r, at)
	payload := r.Header.Get("X-Amz-Content-Sha256")
	switch {
	case at.service == "s3" && payload == "":
		payload = "UNSIGNED-PAYLOAD" // of a presigned URL
	case at.service != "s3":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return false, fmt.Errorf("reading the request: %w", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		payload = hashHex(body)
	}
	if !strings.HasPrefix(sent.time, sent.date) || !slices.Contains(sent.headers, "host") {
		return false, nil
	}
	request := strings.Join([]string{
		r.Method, cmp.Or(escape(r.URL.Path, "/"), "/"), canonicalQuery(r.URL.RawQuery), canonicalHeaders(r, sent.headers), strings.Join(sent.headers, ";"), payload,
	}, "\n")
	scope := strings.Join([]string{sent.date, at.region, at.service, "aws4_request"}, "/")
	key := []byte("AWS4" + secret)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	want := mac(key, strings.Join([]string{"AWS4-HMAC-SHA256", sent.time, scope, hashHex([]byte(request))}, "\n"))
	return hmac.Equal([]byte(hex.EncodeToString(want)), []byte(sent.value)), nil
}

func hashHex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum(nil)
}

// escape writes all bytes but unreserved characters and those of keep as %XX.
func escape(text, keep string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-_.~"+keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// canonicalQuery returns a query without its signature, escaped and sorted.
func canonicalQuery(raw string) string {
	var pairs []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		decoded, err2 := url.QueryUnescape(value)
		if err == nil && err2 == nil && name != "" && name != "X-Amz-Signature" {
			pairs = append(pairs, escape(name, "")+"="+escape(decoded, ""))
		}
	}
	slices.SortFunc(pairs, func(a, b string) int { // by name first
		return strings.Compare(strings.Replace(a, "=", "\x00", 1), strings.Replace(b, "=", "\x00", 1))
	})
	return strings.Join(pairs, "&")
}

// canonicalHeaders returns the signed headers, each with a line feed.
func canonicalHeaders(r *http.Request, names []string) string {
	var b strings.Builder
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = cmp.Or(r.Host, r.URL.Host) // of a request without a socket
		case "content-length": // net/http may remove the header
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		fmt.Fprintf(&b, "%s:%s\n", name, strings.Join(strings.Fields(value), " "))
	}
	return b.String()
}

// forLoopback passes on only requests whose Host is loopback's. The name of another
// host means that a web page reaches the server through its own DNS (DNS rebinding).
func forLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, fmt.Sprintf("got the Host %q, want a loopback address", r.Host), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
