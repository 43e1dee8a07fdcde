// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// decode removes the chunk encoding of the body, and verifies every checksum in the
// headers and trailers
// (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html). It
// ignores signatures.
func (c *call) decode() error {
	sent := c.header.Get("x-amz-content-sha256")
	if strings.HasPrefix(sent, "STREAMING-") {
		body, trailer, ok := dechunk(c.body)
		if length := c.header.Get("x-amz-decoded-content-length"); !ok || length != strconv.Itoa(len(body)) {
			return fail(400, "IncompleteBody", "The request body terminated unexpectedly")
		}
		c.body = body
		c.header = c.header.Clone()
		for name, values := range trailer {
			c.header[name] = values
		}
		if name := c.header.Get("x-amz-trailer"); name != "" && c.header.Get(name) == "" {
			return fail(400, "MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")
		}
	} else if sum := sha256.Sum256(c.body); len(sent) == 64 && sent != hex.EncodeToString(sum[:]) {
		return fail(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	if sent := c.header.Get("Content-MD5"); sent != "" {
		want, err := base64.StdEncoding.DecodeString(sent)
		if err != nil || len(want) != md5.Size {
			return fail(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
		}
		if sum := md5.Sum(c.body); !bytes.Equal(sum[:], want) {
			return fail(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
		}
	}
	for _, a := range algorithms {
		if sent := c.header.Get("x-amz-checksum-" + a.name); sent != "" && sent != a.of(c.body) {
			return fail(400, "BadDigest", "The "+strings.ToUpper(a.name)+" you specified did not match the calculated checksum.")
		}
	}
	return nil
}

// dechunk parses `SIZE[;chunk-signature=...]\r\n DATA\r\n` up to the chunk of size
// zero, then the trailers.
func dechunk(text []byte) (body []byte, trailer http.Header, ok bool) {
	trailer = http.Header{}
	for {
		line, rest, ok := bytes.Cut(text, []byte("\r\n"))
		digits, _, _ := strings.Cut(string(line), ";")
		size, err := strconv.ParseUint(digits, 16, 31)
		if !ok || err != nil {
			return nil, nil, false
		}
		if size == 0 {
			for line := range strings.SplitSeq(string(rest), "\r\n") {
				if name, value, ok := strings.Cut(line, ":"); ok {
					trailer.Set(strings.TrimSpace(name), strings.TrimSpace(value))
				}
			}
			return body, trailer, true
		}
		if uint64(len(rest)) < size+2 || string(rest[size:size+2]) != "\r\n" {
			return nil, nil, false
		}
		body = append(body, rest[:size]...)
		text = rest[size+2:]
	}
}

// algorithm is one of S3's checksum algorithms, by its name in headers.
type algorithm struct {
	name string
	new  func() hash.Hash
}

// nvme is the reversed polynomial of CRC-64/NVME
// (https://reveng.sourceforge.io/crc-catalogue/17plus.htm#crc.cat.crc-64-nvme).
var nvme = sync.OnceValue(func() *crc64.Table { return crc64.MakeTable(0x9a6c9329ac4bc9b5) })

var algorithms = []algorithm{
	{"crc32", func() hash.Hash { return crc32.NewIEEE() }},
	{"crc32c", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
	{"crc64nvme", func() hash.Hash { return crc64.New(nvme()) }},
	{"sha1", sha1.New},
	{"sha256", sha256.New},
}

// of returns the checksum of a body in base64.
func (a algorithm) of(body []byte) string {
	h := a.new()
	_, _ = h.Write(body) // never fails
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// checksum returns the requested algorithm, or S3's default.
func (c *call) checksum() algorithm {
	chosen := strings.ToLower(c.header.Get("x-amz-sdk-checksum-algorithm") + c.header.Get("x-amz-checksum-algorithm"))
	for _, a := range algorithms {
		if chosen == a.name || c.header.Get("x-amz-checksum-"+a.name) != "" {
			return a
		}
	}
	return algorithms[2]
}
