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
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
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
	if !strings.HasPrefix(sent.time, sent.date) || !slices.Contains(sent.headers, "host") || sent.omits(r) {
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

// omits reports whether a request has a header of AWS that is not signed.
func (sent signature) omits(r *http.Request) bool {
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(sent.headers, name) {
			return true
		}
	}
	return false
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

// identify sets the role that makes a request. It fails for an unknown access key, a
// session token that is not the role's, a wrong signature, and a signature of another
// time.
func (s *Server) identify(r *http.Request, at *scope) error {
	s.mu.Lock()
	at.role = s.roles[at.accessKey]
	s.mu.Unlock()
	sent := signatureOf(r, *at)
	switch {
	case at.role == nil && at.accessKey != s.cfg.AccessKey:
		return unknownKey(at.service, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
	case at.role != nil && cmp.Or(r.Header.Get("X-Amz-Security-Token"), r.URL.Query().Get("X-Amz-Security-Token")) != at.role.token:
		return unknownKey(at.service, "InvalidToken", "The provided token is malformed or otherwise invalid.")
	}
	if ok, err := signed(r, *at, s.cfg.SecretKey); err != nil || !ok { // a role has the same secret key
		if err != nil {
			return err
		}
		return mismatch(at.service, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.")
	}
	return sent.timely(r, at.service, s.cfg.SignedAt())
}

// jsonServices are the services of the JSON protocol, whose errors have other codes.
var jsonServices = []string{"ec2-instance-connect", "kms", "pricing", "servicequotas", "ssm"}

// unknownKey returns a service's error for keys that do not exist. S3 has its own.
func unknownKey(service, s3Code, s3Text string) error {
	const text = "The security token included in the request is invalid."
	switch {
	case service == "ec2":
		return &query.Error{Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials", Status: 401}
	case service == "s3":
		return &query.Error{Code: s3Code, Message: s3Text, Status: 403}
	case slices.Contains(jsonServices, service):
		return &query.Error{Code: "UnrecognizedClientException", Message: text}
	}
	return &query.Error{Code: "InvalidClientTokenId", Message: text, Status: 403}
}

// mismatch returns a service's error for a wrong signature.
func mismatch(service, text string) error {
	switch {
	case service == "ec2":
		return unknownKey(service, "", "")
	case slices.Contains(jsonServices, service):
		return &query.Error{Code: "InvalidSignatureException", Message: text}
	}
	return &query.Error{Code: "SignatureDoesNotMatch", Message: text, Status: 403}
}

// Longest differences between the time of a signature and the server's
// (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html for S3).
const (
	s3Skew = 15 * time.Minute
	skew   = 5 * time.Minute
)

const amzTime = "20060102T150405Z"

// timely returns a service's error for a signature of another time, or for a presigned
// URL that has expired.
func (sent signature) timely(r *http.Request, service string, now time.Time) error {
	at, err := time.Parse(amzTime, sent.time)
	if err != nil {
		return mismatch(service, "Date must be in ISO-8601 'basic format'. Got '"+sent.time+"'. See http://en.wikipedia.org/wiki/ISO_8601")
	}
	if seconds, err := strconv.Atoi(r.URL.Query().Get("X-Amz-Expires")); err == nil {
		if now.After(at.Add(time.Duration(seconds) * time.Second)) {
			return &query.Error{Code: "AccessDenied", Message: "Request has expired", Status: 403}
		}
		return nil
	}
	stamp := func(t time.Time) string { return t.UTC().Format(amzTime) }
	switch late := now.Sub(at); {
	case service == "s3" && late.Abs() > s3Skew:
		return &query.Error{Code: "RequestTimeTooSkewed", Message: "The difference between the request time and the current time is too large.", Status: 403}
	case service == "s3" || late.Abs() <= skew:
		return nil
	case service == "ec2":
		return &query.Error{Code: "RequestExpired", Message: "Request has expired."}
	case late > 0:
		return mismatch(service, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)", stamp(at), stamp(now.Add(-skew)), stamp(now)))
	default:
		return mismatch(service, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)", stamp(at), stamp(now.Add(skew)), stamp(now)))
	}
}

// forLoopback passes on only requests whose Host is loopback's, or the address at which
// machines reach it. The name of another host means that a web page reaches the server
// through its own DNS (DNS rebinding).
func forLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if ip := net.ParseIP(host); host != "localhost" && host != instance.Gateway && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, fmt.Sprintf("got the Host %q, want a loopback address", r.Host), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
