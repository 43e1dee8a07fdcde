// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// syntaxError returns the error for invalid JSON or YAML, at the fault. It mentions
// text that looks like the source of a template engine.
func (t *Template) syntaxError(at int, language, msg string) error {
	at = min(max(at, 0), len(t.src))
	msg = fmt.Sprintf("not valid %s: %s", language, msg)
	e := t.engineAt(at)
	if first := t.engineAt(t.first()); first != nil && !first.value && first.at == t.first() {
		e = first
	}
	if e != nil {
		if e.beside {
			at = min(at, e.at)
			return t.errorf(at, "%s; %s", msg, e)
		}
		p := t.pos(e.at)
		return t.errorf(at, "%s; %q at %d:%d looks like %s", msg, e.text, p.Line, p.Column, e.advice())
	}
	return t.errorf(at, "%s", msg)
}

var yamlPrefix = lazyregexp.New(`^yaml: ((line|offset) \d+: )?`)

// yamlError converts an error of the full parser, which read t.src[t.bom:].
func (t *Template) yamlError(dec *yaml.Decoder, err error) error {
	msg := yamlPrefix.ReplaceAllString(err.Error(), "")
	at := t.yamlFault(dec, msg)
	if at < 0 {
		return &Error{File: t.name, Msg: "not valid YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	return t.syntaxError(at, "YAML", msg)
}

// yamlFault returns the offset at which a parse failed; -1 if unknown. The parser's
// message has only the line at which the innermost open collection begins. The
// offset is in an unexported field; a test fails if that field is removed.
func (t *Template) yamlFault(dec *yaml.Decoder, msg string) int {
	if at := invalidText(t.src[t.bom:]); at >= 0 {
		return t.bom + at
	}
	parser := field(field(reflect.ValueOf(dec), "parser"), "parser")
	mark := field(parser, "problem_mark")
	context := field(parser, "context_mark")
	switch {
	case strings.HasPrefix(msg, "unknown anchor"), strings.HasPrefix(msg, "anchor "):
		mark = field(field(field(reflect.ValueOf(dec), "parser"), "event"), "start_mark")
	case strings.Contains(msg, "could not find expected ':'"), strings.Contains(msg, "unexpected end of stream"):
		mark = context // the text that begins there is wrong
	}
	line, column := field(mark, "line"), field(mark, "column")
	if !line.IsValid() || !column.IsValid() {
		return -1
	}
	l, c := int(line.Int())+1, int(column.Int())+1
	if l == 1 && t.bom > 0 {
		c++
	}
	if at := t.offset(l, c); at >= 0 {
		return at
	}
	return len(t.src) // the parser counts a line after the last one
}

// field returns a field of a struct or of a pointer to one; the zero Value if there
// is none.
func field(v reflect.Value, name string) reflect.Value {
	v = reflect.Indirect(v)
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.FieldByName(name)
}

// invalidText returns the offset of the first byte that is not UTF-8 or not allowed
// in YAML; -1 if there is none.
func invalidText(s []byte) int {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n < 2 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7F || r == 0xFFFE || r == 0xFFFF {
			return i
		}
		i += n
	}
	return -1
}

// engine is a piece of text that belongs to a template engine.
type engine struct {
	name   string
	at     int
	text   string
	beside bool // it is on the line of the fault
	value  bool // it stands for a value
}

func (e *engine) String() string { return fmt.Sprintf("%q looks like %s", e.text, e.advice()) }

func (e *engine) advice() string {
	if e.value {
		return e.name + ": fill it in first and edit the result, or write it in quotes"
	}
	return e.name + ": run the engine first and edit its output"
}

// engines identifies template engines by their syntax. The first match wins, so
// specific forms come first. A weak form also occurs in valid templates, and counts
// only on the line of a fault. A mark stands for a value that anyone may fill in;
// other text belongs to an engine that will read the file.
var engines = []struct {
	name              string
	form              lazyregexp.Regexp
	weak, value, mark bool
}{
	{"an expression of GitHub Actions", lazyregexp.New(`\$\{\{[^\n]{0,40}`), true, false, false},
	{"ERB (Ruby)", lazyregexp.New(`<%[-=#]?[^\n]{0,40}`), false, false, false},
	{"a Terraform template", lazyregexp.New(`%\{ *~? *(if|for|else|endif|endfor)\b[^\n]{0,40}`), false, false, false},
	{"a Go template (or Helm, gomplate)", lazyregexp.New(`\{\{-? *([.$/]|(if|range|end|else|define|template|with|block|include|printf|env|index|required|default|getenv)\b)[^\n]{0,40}`), false, false, false},
	{"Mustache (or Handlebars)", lazyregexp.New(`\{\{(\{|[#^>/!&])[^\n]{0,40}`), false, false, false},
	{"Jinja (or Liquid, Twig)", lazyregexp.New(`\{[%#][^\n]{0,40}`), false, false, false},
	{"a token of the CDK", lazyregexp.New(`\$\{Token\[[^\n}]{0,40}\}?`), true, true, false},
	{"Jinja, Mustache or a Go template", lazyregexp.New(`\{\{[^\n]{0,40}`), true, false, false},
	{"a placeholder of envsubst, Terraform, SAM or the CDK", lazyregexp.New(`\$\{[^\n}]{0,60}\}?`), true, true, false},
	{"a placeholder of envsubst or a shell", lazyregexp.New(`\$[A-Za-z_][A-Za-z0-9_]*`), true, true, false},
	{"a variable of Concourse", lazyregexp.New(`\(\([A-Za-z0-9_./:-]+\)\)`), true, true, false},
	{"a placeholder of make or Azure Pipelines", lazyregexp.New(`\$\([^\n)]{0,60}\)?`), true, true, false},
	{"a placeholder of configure or CMake", lazyregexp.New(`@@?[A-Za-z_][A-Za-z0-9_.-]*@@?`), true, true, true},
	{"a placeholder of printf or Python", lazyregexp.New(`%(\([A-Za-z_]+\))?[sdvq]\b`), true, true, true},
	{"a placeholder", lazyregexp.New(`%[A-Za-z_]+%|<[A-Za-z_][A-Za-z0-9_ -]*>|\[\[ *[A-Za-z_.$][^\n"]{0,40}\]\]|__[A-Za-z0-9_]+__`), true, true, true},
}

// engineAt finds text of a template engine near a fault: on its line, else the last
// one before it, else the first one after it.
func (t *Template) engineAt(fault int) *engine {
	start := t.lineStart(fault)
	if e := t.engineBetween(start, t.lineEnd(fault), fault); e != nil {
		return e
	}
	for _, e := range engines {
		if e.weak {
			continue
		}
		spans := e.form.FindAllIndex(t.src[:start], -1)
		if len(spans) == 0 {
			if spans = e.form.FindAllIndex(t.src[start:], 1); len(spans) > 0 {
				spans[0][0] += start
				spans[0][1] += start
			}
		}
		if n := len(spans); n > 0 {
			return newEngine(e.name, t.src, spans[n-1][0], spans[n-1][1], false, e.value)
		}
	}
	return nil
}

// engineBetween finds text of a template engine between start and end that begins
// before a fault.
func (t *Template) engineBetween(start, end, fault int) *engine {
	for _, e := range engines {
		spans := e.form.FindAllIndex(t.src[start:end], -1)
		for _, s := range spans {
			if s[0]+start > fault+1 && !e.weak {
				continue
			}
			// A weak form counts if the fault is within it or at its border.
			if e.weak && (fault < start+s[0]-1 || fault > start+s[1]) {
				continue
			}
			if isReference(t.src[start+s[0]:]) {
				continue
			}
			return newEngine(e.name, t.src, start+s[0], start+s[1], true, e.value)
		}
	}
	return nil
}

func newEngine(name string, src []byte, from, to int, beside, value bool) *engine {
	text := src[from:to]
	for _, shut := range []string{"}}}", "}}", "%}", "#}", "%>"} {
		if shut == "}}}" && !bytes.HasPrefix(text, []byte("{{{")) {
			continue
		}
		if i := bytes.Index(text, []byte(shut)); i > 0 {
			text = text[:i+len(shut)]
			break
		}
	}
	return &engine{name: name, at: from, text: strings.TrimSpace(string(text)), beside: beside, value: value}
}

// first returns the offset of the first byte that is not white space.
func (t *Template) first() int {
	return len(t.src) - len(bytes.TrimLeft(t.src[t.bom:], " \t\r\n"))
}

// hintBefore and hintAfter bound the search for an engine's text around a value, in
// bytes: a map of thousands of values may be one line.
const hintBefore, hintAfter = 64, 512

// hint names the template engine whose text is at an unexpected value.
func (t *Template) hint(n *node) string {
	start, end := max(t.lineStart(n.start), n.start-hintBefore), min(t.lineEnd(n.start), n.start+hintAfter)
	if e := t.engineBetween(start, end, n.start); e != nil && e.at <= n.start+1 && n.start < e.at+len(e.text) {
		return "; " + e.String()
	}
	return ""
}

// isReference reports whether s begins with a dynamic reference of CloudFormation.
func isReference(s []byte) bool { return bytes.HasPrefix(s, []byte("{{resolve:")) }

// unfilled returns the text of a template engine in an unquoted value; nil if there
// is none. YAML accepts much of it as plain text or as a comment.
func (t *Template) unfilled(v *node) *engine {
	if t.yaml == nil || v.kind != scalar || v.quote != 0 || v.end < 0 {
		return nil
	}
	if v.start == v.end {
		rest := t.src[v.end:t.lineEnd(v.end)]
		if at := bytes.Index(rest, []byte("#@")); at >= 0 && len(bytes.TrimSpace(rest[:at])) == 0 {
			return &engine{name: "ytt", at: v.end + at, text: string(bytes.TrimSpace(rest[at:]))}
		}
		return nil
	}
	for _, e := range engines {
		if e.mark {
			continue
		}
		for _, s := range e.form.FindAllIndex(t.src[v.body:v.end], 1) {
			if !isReference(t.src[v.body+s[0]:]) {
				return newEngine(e.name, t.src, v.body+s[0], v.body+s[1], true, e.value)
			}
		}
	}
	return nil
}
