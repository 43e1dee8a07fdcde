// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package deadman

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// beginnings are the prefixes by which cloud-init detects its formats, ignoring
// white space and case
// (https://docs.cloud-init.io/en/latest/explanation/format.html).
var beginnings = []string{
	"#!", "#cloud-config", "#include", "#cloud-boothook", "#part-handler", "#upstart-job", "## template:",
}

// messageHead is the number of bytes that cloud-init searches for mime-version.
const messageHead = 4096

var headerLine = lazyregexp.New(`^[A-Za-z][A-Za-z0-9-]*:`)

// part is a part of a MIME message.
type part struct {
	header textproto.MIMEHeader
	body   []byte
}

// asPart converts the user data to a MIME part.
func asPart(data []byte) (part, error) {
	head := bytes.ToLower(data[:min(len(data), messageHead)])
	if bytes.Contains(head, []byte("mime-version:")) && headerLine.Match(data) && utf8.Valid(data) {
		if nested, err := mail.ReadMessage(bytes.NewReader(data)); err == nil {
			body, err := io.ReadAll(nested.Body)
			return part{textproto.MIMEHeader(nested.Header), body}, err
		}
	}
	begin := strings.ToLower(strings.TrimSpace(string(data)))
	if slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(begin, b) }) {
		// cloud-init detects the format of a text/plain part by its content, like
		// that of a bare script, and names the first script part-001.
		return newPart("text/plain", "part-001", data), nil
	}
	return part{}, ErrForeign
}

// switchPart returns the switch as a MIME part.
func switchPart(after time.Duration) part {
	return newPart("text/cloud-boothook", "ethminer-deadman", []byte(Switch(after)))
}

// newPart returns a MIME part that preserves the bytes of data.
func newPart(kind, name string, data []byte) part {
	header, body := textproto.MIMEHeader{}, data
	header.Set("Content-Type", kind+`; charset="utf-8"`)
	header.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	header.Set("Content-Transfer-Encoding", "7bit")
	if !isPlain(data) {
		header.Set("Content-Transfer-Encoding", "base64")
		body = nil
		for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(data)), 76) { // RFC 2045, 6.8
			body = append(append(body, line...), '\n')
		}
	}
	return part{header, body}
}

// isPlain reports whether data needs no encoding in a message: it is 7-bit, and a
// parser does not change its line ends.
func isPlain(data []byte) bool {
	for _, c := range data {
		if c == 0 || c == '\r' || c == '\v' || c == '\f' || c > 0x7e || c >= 0x1c && c <= 0x1e {
			return false
		}
	}
	return true
}

// join joins parts to one message. It chooses a boundary that no part contains;
// the same parts always have the same boundary.
func join(parts ...part) []byte {
	text := fmt.Sprintf("%s", parts)
	sum := sha256.Sum256([]byte(text))
	boundary := "ethminer-" + hex.EncodeToString(sum[:8])
	for strings.Contains(text, boundary) {
		boundary += "x"
	}
	var b bytes.Buffer // a Buffer accepts all data
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%q\r\nMIME-Version: 1.0\r\n\r\n", boundary)
	w := multipart.NewWriter(&b)
	_ = w.SetBoundary(boundary) // it is valid
	for _, p := range parts {
		body, _ := w.CreatePart(p.header)
		_, _ = body.Write(p.body)
	}
	_ = w.Close()
	return b.Bytes()
}
