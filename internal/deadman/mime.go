// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package deadman

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// beginnings are what cloud-init tells its formats by
// (https://docs.cloud-init.io/en/latest/explanation/format.html). It looks past
// white space, and at neither capitals nor small letters.
var beginnings = []string{
	"#!", "#cloud-config", "#include", "#cloud-boothook", "#part-handler", "#upstart-job", "## template:",
}

// messageHead is how far cloud-init looks for mime-version.
const messageHead = 4096

var headerLine = lazyregexp.New(`^[A-Za-z][A-Za-z0-9-]*:`)

// asPart makes a MIME part, headers and all, of what was the whole user data.
func asPart(data []byte) (string, error) {
	head := bytes.ToLower(data[:min(len(data), messageHead)])
	if bytes.Contains(head, []byte("mime-version:")) && headerLine.Match(data) && utf8.Valid(data) {
		return string(data), nil // a message within a message, word for word
	}
	begin := strings.ToLower(strings.TrimSpace(string(data)))
	for _, b := range beginnings {
		if strings.HasPrefix(begin, b) {
			// cloud-init finds out what text/plain is, as it does without MIME,
			// and names the first script part-001, as before.
			return part("text/plain", "part-001", data), nil
		}
	}
	return "", ErrForeign
}

// switchPart is the switch as a MIME part.
func switchPart(after time.Duration) string {
	return part("text/cloud-boothook", "ethminer-deadman", []byte(Switch(after)))
}

// part is a MIME part that a reader gets the very bytes of data from.
func part(kind, name string, data []byte) string {
	var b strings.Builder
	b.WriteString("Content-Type: " + kind + "; charset=\"utf-8\"\n")
	b.WriteString("Content-Disposition: attachment; filename=\"" + name + "\"\n")
	if isPlain(data) {
		b.WriteString("Content-Transfer-Encoding: 7bit\n\n")
		b.Write(data)
		return b.String()
	}
	b.WriteString("Content-Transfer-Encoding: base64\n\n")
	for text := base64.StdEncoding.EncodeToString(data); text != ""; {
		n := min(len(text), 76) // RFC 2045, 6.8
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	return b.String()
}

// isPlain says whether data can stand in a message as it is: 7 bits, and no
// line end that a parser may change.
func isPlain(data []byte) bool {
	for _, c := range data {
		if c == 0 || c == '\r' || c == '\v' || c == '\f' || c > 0x7e || c >= 0x1c && c <= 0x1e {
			return false
		}
	}
	return true
}

// join makes one message of parts. A boundary that none of them contains is
// found; the same parts always have the same.
func join(parts ...string) []byte {
	sum := sha256.Sum256([]byte(strings.Join(parts, "")))
	boundary := "ethminer-" + hex.EncodeToString(sum[:8])
	for strings.Contains(strings.Join(parts, ""), boundary) {
		boundary += "x"
	}
	var b bytes.Buffer
	b.WriteString("Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\nMIME-Version: 1.0\n\n")
	for _, p := range parts {
		// The line end before a boundary belongs to it.
		b.WriteString("--" + boundary + "\n" + p + "\n")
	}
	b.WriteString("--" + boundary + "--\n")
	return b.Bytes()
}
