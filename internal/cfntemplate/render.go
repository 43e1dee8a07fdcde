// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// style is the style of the entries of a map.
type style struct {
	t       *Template
	quote   byte
	before  int // spaces between a key and its colon
	after   string
	colonAt int // width of key and spaces if the colons are aligned, else 0
	valueAt int // the same for values
}

// styleOf detects the style of the entries of n.
func (t *Template) styleOf(n *node) style {
	s := style{t: t, after: " "}
	if t.yaml == nil {
		s.quote = '"'
	}
	colons, values := map[int]bool{}, map[int]bool{}
	widths := map[int]bool{}
	wideColon, wideValue := false, false
	for _, e := range n.entry {
		colon := e.key.end
		for colon >= 0 && colon < len(t.src) && t.src[colon] == ' ' {
			colon++
		}
		if colon < 0 || colon >= len(t.src) || t.src[colon] != ':' {
			continue
		}
		s.quote, s.before = e.key.quote, colon-e.key.end
		widths[e.key.end-e.key.start] = true
		colons[colon-e.key.start] = true
		wideColon = wideColon || s.before > 1
		gap := t.src[colon+1:]
		k := 0
		for k < len(gap) && gap[k] == ' ' {
			k++
		}
		if e.val.start == colon+1+k && e.val.end != e.val.start {
			s.after = string(gap[:k])
			values[e.val.start-e.key.start] = true
			wideValue = wideValue || k > 1
		}
	}
	if len(colons) == 1 && (wideColon || len(widths) > 1) {
		for w := range colons {
			s.colonAt = w
		}
	} else if len(values) == 1 && (wideValue || len(widths) > 1) {
		for w := range values {
			s.valueAt = w
		}
	}
	if s.colonAt == 0 && wideColon {
		s.before = 1
	}
	if s.valueAt == 0 && wideValue {
		s.after = " "
	}
	return s
}

// entry writes `key: value`. A value that begins with a line break follows the
// colon directly.
func (s style) entry(key, value string) string {
	k := quoted(key, s.quote)
	if s.t.yaml == nil {
		k = quoted(key, '"')
	}
	switch {
	case s.colonAt > len(k):
		k += strings.Repeat(" ", s.colonAt-len(k))
	case s.colonAt == 0:
		k += strings.Repeat(" ", s.before)
	}
	k += ":"
	switch {
	case value == "" || value[0] == '\n' || value[0] == '\r':
		return k + value
	case s.valueAt > len(k):
		return k + strings.Repeat(" ", s.valueAt-len(k)) + value
	case s.valueAt > 0:
		return k + " " + value
	}
	return k + s.after + value
}

// quoteOf returns the quote of the row's values, else that of the map's values.
func (p *plan) quoteOf(row *node) byte {
	if p.t.yaml == nil {
		return '"'
	}
	for _, e := range row.entry {
		if v := e.val; v.kind == scalar && !v.null && !v.intrinsic() && v.quote != '|' {
			return v.quote
		}
	}
	for i := len(p.m.val.entry) - 1; i >= 0; i-- {
		if r := p.m.val.entry[i].val; r != row && r.kind == object {
			for _, e := range r.entry {
				if v := e.val; v.kind == scalar && !v.null && !v.intrinsic() && v.quote != '|' {
					return v.quote
				}
			}
		}
	}
	return 0
}

// value writes a value in the style of the row's values.
func (p *plan) value(row *node, value string) string { return quoted(value, p.quoteOf(row)) }

// quoted writes s in the given quotes. It omits quotes only if YAML then reads the
// same text.
func quoted(s string, quote byte) string {
	switch {
	case quote == '\'':
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	case quote != '"' && plainSafe(s):
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// plainSafe reports whether YAML 1.1 and 1.2 read the unquoted s as the text s.
func plainSafe(s string) bool {
	if s == "" || s[0] == '-' || s[0] == '.' {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._/", c) {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	if _, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64); err == nil {
		return false
	}
	var n yaml.Node
	return yaml.Unmarshal([]byte(s), &n) == nil && len(n.Content) == 1 && n.Content[0].Tag == "!!str" && n.Content[0].Value == s
}

// modelRow returns the row whose style a new row copies: the nearest one with cells
// above key, else the nearest below.
func (p *plan) modelRow(key *node) *entry {
	var below *entry
	for i := len(p.m.val.entry) - 1; i >= 0; i-- {
		e := &p.m.val.entry[i]
		if e.key == key || e.val.kind != object || len(e.val.entry) == 0 || e.val.intrinsic() || e.val.end < 0 {
			continue
		}
		if key == nil || e.key.start < key.start {
			return e
		}
		below = e
	}
	return below
}

// cells writes the value of a row whose key is at indent: a block below the key, or
// a flow map.
func (p *plan) cells(key *node, cells []Edit, block bool, indent string) string {
	t, model := p.t, p.modelRow(key)
	if model == nil {
		model = &entry{nil, &node{flow: !block}}
	}
	st := t.styleOf(model.val)
	quote := p.quoteOf(model.val)
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = st.entry(c.Attribute, quoted(c.Value, quote))
	}
	if block {
		deeper := indent + p.unit()
		if len(model.val.entry) > 0 {
			deeper = strings.Repeat(" ", t.column(model.val.entry[0].key.start))
		}
		eol := t.eol(p.m.key.start)
		return eol + deeper + strings.Join(texts, eol+deeper)
	}
	open, shut, sep := " ", " ", ", "
	if n := model.val.entry; len(n) > 0 {
		open, shut, sep = t.gaps(model.val)
	} else if t.yaml == nil {
		open, shut, sep = "", "", ", "
		if t.lineStart(p.m.key.start) != t.lineStart(t.mappings.key.start) {
			eol := t.eol(p.m.key.start)
			open, shut = eol+indent+p.unit(), eol+indent
			sep = "," + open
		}
	}
	return "{" + open + strings.Join(texts, sep) + shut + "}"
}

// gaps returns the white space after a flow map's opening brace, before its closing
// brace, and between two of its entries.
func (t *Template) gaps(n *node) (open, shut, sep string) {
	first, last := n.entry[0], n.entry[len(n.entry)-1]
	open = t.blank(n.body+1, first.key.start)
	shut = t.blank(last.val.end, n.end-1)
	switch k := len(n.entry); {
	case k > 1:
		sep = "," + t.blank(n.entry[k-2].val.end, last.key.start)
	case strings.ContainsAny(open, "\r\n") || t.yaml == nil && t.src[first.val.start-1] == ':':
		sep = "," + open
	default:
		sep = ", "
	}
	if t.yaml != nil && sep == "," {
		sep = ", "
	}
	return open, shut, sep
}

// blank returns src[from:to] without commas. If there are comments, it returns a
// line break and the indentation after the last one.
func (t *Template) blank(from, to int) string {
	if from < 0 || to < from {
		return " "
	}
	s := string(t.src[from:to])
	if strings.Contains(s, "#") {
		return t.eol(from) + s[strings.LastIndexAny(s, "\r\n")+1:]
	}
	return strings.ReplaceAll(s, ",", "")
}

// unit returns one level of indentation.
func (p *plan) unit() string {
	t := p.t
	indent := func(at int) int {
		from := max(t.bom, t.lineStart(at))
		n := 0
		for from+n < at && t.src[from+n] == ' ' {
			n++
		}
		return n
	}
	if n := indent(p.m.key.start) - indent(t.mappings.key.start); n > 0 {
		return strings.Repeat(" ", n)
	}
	return "  "
}

// fill writes the first entries into a map or row that is null, empty or a
// placeholder. write returns the new value, as a block at an indentation or as a
// flow map.
func (p *plan) fill(e entry, write func(block bool, indent string) string, model *entry) error {
	t, v := p.t, e.val
	if v.anchor != "" {
		return t.errorf(v.start, "%s has an anchor (&%s) but no map; remove the anchor", e.key.text, v.anchor)
	}
	if v.tag != "" && !v.reference() {
		return t.errorf(v.start, "%s has the tag %s but no content; remove the tag", e.key.text, v.tag)
	}
	if v.end < 0 {
		return t.errorf(v.start, "the value of %s spans several lines; replace it with {}", e.key.text)
	}
	lineStart := max(t.bom, t.lineStart(e.key.start))
	lead := string(t.src[lineStart:e.key.start])
	indent := lead[:len(lead)-len(strings.TrimLeft(lead, " \t"))]
	block := t.yaml != nil && lead == indent && !p.inFlow(e)
	if model != nil {
		block = block && !model.val.flow
	} else if v.kind == object && e.key != p.m.key {
		block = false // the row was written {}
	}
	text := write(block, indent)
	colon := e.key.end
	for colon < len(t.src) && (t.src[colon] == ' ' || t.src[colon] == '\t') {
		colon++
	}
	if colon >= len(t.src) || t.src[colon] != ':' {
		return t.errorf(e.key.start, "%s has no value; set it to {}", e.key.text)
	}
	if v.start == v.end && v.end != colon+1 {
		return t.errorf(e.key.start, "%s has no value, only a tag or a comment; set it to {}", e.key.text)
	}
	switch {
	case block && v.start == v.end:
		// After a comment that may follow the colon.
		at := t.lineEnd(colon)
		for rest := at; rest > colon+1 && (t.src[rest-1] == ' ' || t.src[rest-1] == '\t'); rest-- {
			at = rest - 1
		}
		p.put(at, at, text)
	case block:
		p.put(colon+1, v.end, text)
	case v.start == v.end:
		p.put(colon+1, colon+1, " "+text)
	default:
		p.put(v.start, v.end, text)
	}
	return nil
}

// inFlow reports whether e is in a flow map.
func (p *plan) inFlow(e entry) bool {
	return p.t.mappings.val.flow || e.key != p.m.key && p.m.val.flow
}

// addRows adds rows after the last one.
func (p *plan) addRows(rows []rowEdit) error {
	for _, n := range []*node{p.t.mappings.val, p.m.val} {
		if err := p.t.unshared(n, false); err != nil {
			return err
		}
	}
	if p.m.val.kind == object && len(p.m.val.entry) > 0 && !p.m.val.intrinsic() {
		return p.addEntries(p.m.val, func(at style) []string {
			model := p.modelRow(nil)
			block := !p.m.val.flow && (model == nil || !model.val.flow)
			key := p.m.val.entry[len(p.m.val.entry)-1].key
			indent := strings.Repeat(" ", p.t.column(key.start))
			if p.m.val.flow {
				lead := p.t.src[max(p.t.bom, p.t.lineStart(key.start)):key.start]
				indent = string(lead[:len(lead)-len(strings.TrimLeft(string(lead), " \t"))])
			}
			var texts []string
			for _, r := range rows {
				texts = append(texts, at.entry(r.region, p.cells(nil, r.cells, block, indent)))
			}
			return texts
		})
	}
	return p.fill(p.m, func(block bool, indent string) string {
		st := style{t: p.t, after: " "}
		deeper := indent + p.unit()
		var texts []string
		for _, r := range rows {
			texts = append(texts, st.entry(r.region, p.cells(nil, r.cells, block, deeper)))
		}
		eol := p.t.eol(p.m.key.start)
		switch {
		case block:
			return eol + deeper + strings.Join(texts, eol+deeper)
		case p.t.yaml == nil && p.t.lineStart(p.m.key.start) != p.t.lineStart(p.t.mappings.key.start):
			return "{" + eol + deeper + strings.Join(texts, ","+eol+deeper) + eol + indent + "}"
		}
		return "{ " + strings.Join(texts, ", ") + " }"
	}, nil)
}

// addEntries adds entries after the last one of a map.
func (p *plan) addEntries(n *node, write func(style) []string) error {
	t := p.t
	last := n.entry[len(n.entry)-1]
	if last.val.end < 0 {
		return t.errorf(last.val.start, "the value of %s spans several lines, and a new entry would follow it; write it on one line", last.key.text)
	}
	switch e := last.tail(); {
	case e.val.kind != scalar || e.val.end != e.val.body:
	case e.val.body > e.val.start, e.val.end > e.key.end && t.src[e.val.end-1] != ':':
		return t.errorf(e.key.start, "%s has no value, only a tag, an anchor or a comment, and a new entry would follow; write \"\" after it", e.key.text)
	}
	texts := write(t.styleOf(n))
	if n.flow {
		_, _, sep := t.gaps(n)
		lead := sep
		if last.val.start == last.val.end && last.val.end > last.key.end {
			lead = " " + sep // `a:,` would be read as a name
		}
		p.put(last.val.end, last.val.end, lead+strings.Join(texts, sep))
		return nil
	}
	lead := string(t.src[max(t.bom, t.lineStart(last.key.start)):last.key.start])
	if strings.Trim(lead, " ") != "" || len(lead) != t.column(n.body) {
		return t.errorf(last.key.start, "%s does not start its line, so no entry can be added below it; write `%s:` on a separate line", last.key.text, last.key.text)
	}
	end := t.lineEnd(t.contentEnd(last))
	eol := t.eol(end)
	p.put(end, end, eol+lead+strings.Join(texts, eol+lead))
	return nil
}
