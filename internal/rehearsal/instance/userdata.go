// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
)

// part is a part of user data, with cloud-init's name for its type.
type part struct {
	kind string // such as text/x-shellscript; text/plain for unknown formats
	name string // file name
	text []byte
}

// Types of parts that a machine executes.
const (
	shellScript = "text/x-shellscript"
	bootHook    = "text/cloud-boothook"
)

// kinds maps the prefixes of cloud-init's formats to types, longer prefixes first.
var kinds = []struct{ begin, kind string }{
	{"#cloud-config-archive", "text/cloud-config-archive"},
	{"#cloud-config-jsonp", "text/cloud-config-jsonp"},
	{"#cloud-config", "text/cloud-config"},
	{"#cloud-boothook", bootHook},
	{"#include-once", "text/x-include-once-url"},
	{"#include", "text/x-include-url"},
	{"#part-handler", "text/part-handler"},
	{"#upstart-job", "text/upstart-job"},
	{"## template:", "text/jinja2"},
	{"#!", shellScript},
}

// parseUserData splits user data into parts, like cloud-init.
func parseUserData(data []byte) ([]part, error) {
	plain, err := unzip(data)
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	var parts []part
	if bytes.Contains(bytes.ToLower(plain[:min(len(plain), 4096)]), []byte("mime-version:")) {
		if m, err := mail.ReadMessage(bytes.NewReader(plain)); err == nil {
			parts, err = appendParts(nil, textproto.MIMEHeader(m.Header), m.Body)
			if err != nil {
				return nil, err
			}
		}
	}
	if parts == nil {
		parts = []part{{kind: "text/plain", text: plain}}
	}
	for i := range parts {
		p := &parts[i]
		if p.kind == "text/plain" || p.kind == "text/x-not-multipart" || p.kind == shellScript {
			p.kind = kindOf(p.text, p.kind)
		}
		if p.kind == bootHook || p.kind == shellScript {
			p.text = unixLines(p.text)
		}
		if p.kind == bootHook {
			p.text = bytes.TrimLeft(bytes.TrimPrefix(p.text, []byte("#cloud-boothook")), " \t\r\n")
		}
		if p.name == "" {
			p.name = fmt.Sprintf("part-%03d", i+1)
		}
	}
	return parts, nil
}

// unixLines converts Windows line ends. Like in cloud-init, the first line decides: a
// script with mixed line ends stays unchanged.
func unixLines(text []byte) []byte {
	first, _, ended := bytes.Cut(text, []byte("\n"))
	if !ended || !bytes.HasSuffix(first, []byte("\r")) {
		return text
	}
	return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
}

func kindOf(text []byte, defaultKind string) string {
	begin := strings.ToLower(string(bytes.TrimSpace(text)))
	for _, k := range kinds {
		if strings.HasPrefix(begin, k.begin) {
			return k.kind
		}
	}
	return defaultKind
}

// appendParts appends the parts of a message; a multipart is only a container.
func appendParts(parts []part, header textproto.MIMEHeader, body io.Reader) ([]part, error) {
	kind, options, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		kind = "text/plain" // RFC 2045, 5.2
	}
	if strings.HasPrefix(kind, "multipart/") {
		pieces := multipart.NewReader(body, options["boundary"])
		for {
			p, err := pieces.NextRawPart()
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the end may be missing
				return parts, nil
			}
			if err != nil {
				return nil, err
			}
			if parts, err = appendParts(parts, p.Header, p); err != nil {
				return nil, err
			}
		}
	}
	switch strings.ToLower(header.Get("Content-Transfer-Encoding")) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if strings.Contains(kind, "gzip") || strings.Contains(kind, "compress") {
		if text, err = unzip(text); err != nil {
			return nil, err
		}
		kind = "text/plain"
	}
	_, disposition, _ := mime.ParseMediaType(header.Get("Content-Disposition")) // an unnamed part gets a number
	return append(parts, part{kind, disposition["filename"], text}), nil
}

func unzip(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return data, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, 64<<20))
}
