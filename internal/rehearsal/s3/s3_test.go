// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package s3

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// do sends a request with a raw body.
func do(t *testing.T, s *Service, method, url, body string, header ...string) (*Response, error) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	q, err := Read(r)
	if err != nil {
		t.Fatal(err)
	}
	return s.Call("us-east-1", q)
}

func newService(t *testing.T) *Service {
	t.Helper()
	s := &Service{Clock: pace.System{}, AccountID: "111122223333"}
	if _, err := do(t, s, "PUT", "http://127.0.0.1/bucket", ""); err != nil {
		t.Fatal(err)
	}
	return s
}

// The check values of the CRC catalogue (https://reveng.sourceforge.io/crc-catalogue/)
// and the results of Python's hashlib for "123456789", in base64.
func TestChecksums(t *testing.T) {
	want := map[string]string{
		"crc32":     "y/Q5Jg==",     // cbf43926
		"crc32c":    "4waSgw==",     // e3069283
		"crc64nvme": "rosUhgp5mIg=", // ae8b14860a799888
		"sha1":      "98O8HYCOBHMq32eZZczDTKeuNEE=",
		"sha256":    "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
	}
	for _, a := range algorithms {
		if got := a.of([]byte("123456789")); got != want[a.name] {
			t.Errorf("%s: got %s, want %s", a.name, got, want[a.name])
		}
	}
}

// S3 stores a chunked body without its chunk encoding, in each of its forms. It rejects
// a truncated or modified body.
func TestChunks(t *testing.T) {
	const signature = ";chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
	for name, test := range map[string]struct{ kind, body, length, code string }{
		"signed":               {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "4" + signature + "\r\n1234\r\n5" + signature + "\r\n56789\r\n0" + signature + "\r\n\r\n", "9", ""},
		"signed, with trailer": {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "9" + signature + "\r\n123456789\r\n0" + signature + "\r\nx-amz-checksum-crc32:y/Q5Jg==\r\nx-amz-trailer-signature:0\r\n\r\n", "9", ""},
		"unsigned":             {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", "9", ""},
		"wrong checksum":       {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "9\r\n123456780\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", "9", "BadDigest"},
		"no trailer":           {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "9\r\n123456789\r\n0\r\n\r\n", "9", "MalformedTrailerError"},
		"truncated":            {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "9\r\n12345", "9", "IncompleteBody"},
		"wrong length":         {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "9\r\n123456789\r\n0\r\n\r\n", "10", "IncompleteBody"},
		"not chunked":          {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "123456789", "9", "IncompleteBody"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			header := []string{"x-amz-content-sha256", test.kind, "x-amz-decoded-content-length", test.length, "Content-Encoding", "aws-chunked"}
			if strings.HasSuffix(test.kind, "-TRAILER") {
				header = append(header, "x-amz-trailer", "x-amz-checksum-crc32")
			}
			_, err := do(t, s, "PUT", "http://127.0.0.1/bucket/key", test.body, header...)
			if test.code != "" {
				if err == nil || !strings.HasPrefix(err.Error(), test.code+":") {
					t.Errorf("got error %v, want %s", err, test.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := do(t, s, "GET", "http://127.0.0.1/bucket/key", "", "x-amz-checksum-mode", "ENABLED")
			if err != nil || string(got.Body) != "123456789" || got.Header.Get("Content-Encoding") != "" {
				t.Errorf("got %q, %v, %v", got.Body, got.Header, err)
			}
			if strings.HasSuffix(test.kind, "-TRAILER") != (got.Header.Get("x-amz-checksum-crc32") == "y/Q5Jg==") {
				t.Errorf("got checksum headers %v", got.Header)
			}
		})
	}
}

// The bucket is the first part of the host or of the path.
func TestNames(t *testing.T) {
	for url, want := range map[string]string{
		"http://127.0.0.1:1234/bucket/a/b":                        "bucket a/b",
		"http://localhost/bucket":                                 "bucket ",
		"http://bucket.s3.eu-central-1.amazonaws.com/a/b":         "bucket a/b",
		"http://with.dots.s3.amazonaws.com/":                      "with.dots ",
		"http://s3.eu-central-1.amazonaws.com/bucket/a%2Fb//c%20": "bucket a/b//c ",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if bucket, key := name(r); bucket+" "+key != want {
			t.Errorf("%s: got %q, want %q", url, bucket+" "+key, want)
		}
	}
}

// An unsupported S3 action does not run as another action.
func TestNotThere(t *testing.T) {
	s := newService(t)
	for _, what := range []string{"PUT /bucket/key?uploadId=1&partNumber=1", "POST /bucket/key?uploads", "PUT /bucket?policy", "GET /bucket?lifecycle", "PATCH /bucket/key"} {
		method, path, _ := strings.Cut(what, " ")
		_, err := do(t, s, method, "http://127.0.0.1"+path, "x")
		if err == nil || !strings.HasPrefix(err.Error(), "NotImplemented") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if len(s.buckets["bucket"].keys) != 0 {
		t.Errorf("an object was written: %v", s.buckets["bucket"].keys)
	}
}
