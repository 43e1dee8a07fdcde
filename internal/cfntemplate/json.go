// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonReader builds nodes from JSON; base is added to every offset.
type jsonReader struct {
	dec  *jsontext.Decoder
	base int
	slab []node // unused nodes
}

// node returns a new node. Nodes are allocated in slabs, because a map has many.
func (r *jsonReader) node() *node {
	if len(r.slab) == 0 {
		r.slab = make([]node, 64)
	}
	n := &r.slab[0]
	r.slab = r.slab[1:]
	return n
}

func newJSONReader(src []byte, base int) *jsonReader {
	// Duplicates are checked later, where they matter, to report the position of
	// the first one.
	return &jsonReader{dec: jsontext.NewDecoder(bytes.NewBuffer(src), jsontext.AllowDuplicateNames(true)), base: base}
}

// parseJSON parses t.src[t.bom:]. It checks every byte, and makes nodes only for
// the section Mappings.
func (t *Template) parseJSON() error {
	r := newJSONReader(t.src[t.bom:], t.bom)
	if r.dec.PeekKind() != '{' {
		if _, err := r.dec.ReadValue(); err != nil {
			return t.jsonError(r, err)
		}
		return t.errorf(t.bom, "the template is not an object; expected {\"Mappings\": {...}, ...}")
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return t.jsonError(r, err)
	}
	for r.dec.PeekKind() == '"' {
		key, err := r.read()
		if err != nil {
			return t.jsonError(r, err)
		}
		if key.text != "Mappings" {
			if resembles(key.text) {
				t.nearly = key
			}
			if err := r.dec.SkipValue(); err != nil {
				return t.jsonError(r, err)
			}
			continue
		}
		if t.mappings.key != nil {
			return t.errorf(key.start, "the section Mappings occurs a second time, after line %d: readers may use either one; keep one of them",
				t.pos(t.mappings.key.start).Line)
		}
		val, err := r.read()
		if err != nil {
			return t.jsonError(r, err)
		}
		t.mappings = entry{key, val}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return t.jsonError(r, err)
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return t.errorf(t.bom+int(r.dec.InputOffset()), "there is text after the template's closing brace; remove it")
	}
	return nil
}

func (t *Template) jsonError(r *jsonReader, err error) error {
	at := r.base + int(r.dec.InputOffset())
	msg := err.Error()
	var s *jsontext.SyntacticError
	if errors.As(err, &s) {
		at = r.base + int(s.ByteOffset)
		if s.Err != nil {
			msg = s.Err.Error()
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		at, msg = len(t.src), "the text ends in the middle of a value"
	}
	return t.syntaxError(at, "JSON", msg)
}

// read makes a node of the next value or object key.
func (r *jsonReader) read() (*node, error) {
	n := r.node()
	n.flow = true
	switch k := r.dec.PeekKind(); k {
	case '{', '[':
		if _, err := r.dec.ReadToken(); err != nil {
			return nil, err
		}
		n.start = r.base + int(r.dec.InputOffset()) - 1
		n.kind = list
		if k == '{' {
			n.kind = object
		}
		for c := r.dec.PeekKind(); c != '}' && c != ']'; c = r.dec.PeekKind() {
			v, err := r.read()
			if err != nil {
				return nil, err
			}
			if k == '[' {
				n.item = append(n.item, v)
				continue
			}
			val, err := r.read()
			if err != nil {
				return nil, err
			}
			n.entry = append(n.entry, entry{v, val})
		}
		if _, err := r.dec.ReadToken(); err != nil {
			return nil, err
		}
	default:
		raw, err := r.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		n.start = r.base + int(r.dec.InputOffset()) - len(raw)
		n.null, n.flow = k == 'n', false
		switch {
		case k != '"':
			n.text = string(raw)
		case bytes.IndexByte(raw, '\\') < 0:
			n.quote, n.str = '"', true
			n.text = string(raw[1 : len(raw)-1])
		default:
			n.quote, n.str = '"', true
			text, err := jsontext.AppendUnquote(nil, raw)
			if err != nil {
				return nil, err
			}
			n.text = string(text)
		}
	}
	n.body, n.end = n.start, r.base+int(r.dec.InputOffset())
	return n, nil
}
