// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// everyEdit returns edits of every kind that a map allows: each cell set, a cell added to
// the first row, a row added, the last row removed.
func everyEdit(m *Mapping) [][]Edit {
	const newRow, newCell = "xx-added-9", "Added9"
	var sets []Edit
	for _, r := range m.Rows {
		for _, c := range r.Cells {
			sets = append(sets, Edit{Region: r.Region, Attribute: c.Name, Value: amiN})
		}
	}
	all := [][]Edit{{{Region: newRow, Attribute: "AMI", Value: amiN}, {Region: "xx-added-10", Attribute: "AMI", Value: amiN}}}
	for _, s := range sets {
		all = append(all, []Edit{s})
	}
	if n := len(m.Rows); n > 0 {
		all = append(all, sets,
			[]Edit{{Region: m.Rows[0].Region, Attribute: newCell, Value: amiN}},
			[]Edit{{Region: m.Rows[n-1].Region, Remove: true}},
			[]Edit{{Region: m.Rows[0].Region, Remove: true}, {Region: newRow, Attribute: "AMI", Value: "1e3"}})
	}
	return all
}

// holdsProperty makes one edit. If it is not rejected, it checks the result independently
// of Apply: by a parse of the whole file into plain values, and by the trees outside the
// section.
func holdsProperty(t *testing.T, src []byte, mapping string, edits []Edit) (out []byte, refused error) {
	t.Helper()
	before, err := Parse("t", src)
	if err != nil {
		return nil, err
	}
	saved := bytes.Clone(src)
	out, changes, err := before.Apply(mapping, edits...)
	if !bytes.Equal(src, saved) {
		t.Fatalf("Apply changed its input")
	}
	if err != nil {
		if out != nil || changes != nil {
			t.Fatalf("got both an error and bytes: %v", err)
		}
		if os.Getenv("STRICT_FUZZ") != "" && strings.Contains(err.Error(), "could not be verified") {
			t.Fatalf("rejected only by the final verification: %v\n%q\n%v", err, src, edits)
		}
		return nil, err
	}
	after, err := Parse("t", out)
	if err != nil {
		t.Fatalf("the result does not parse: %v\n%q", err, out)
	}
	m, err := after.Mapping(mapping)
	if err != nil {
		t.Fatalf("the map no longer exists: %v\n%q", err, out)
	}
	var again []Edit
	for _, e := range edits {
		got, there := m.Cell(e.Region, e.Attribute)
		if e.Remove {
			for _, r := range m.Rows {
				if r.Region == e.Region {
					t.Fatalf("row %s still exists\n%q", e.Region, out)
				}
			}
			continue
		}
		again = append(again, e)
		if !there || got.Value != e.Value {
			t.Fatalf("get after set: %v: got %+v\n%q", e, got, out)
		}
	}
	if len(again) > 0 {
		twice, more, err := after.Apply(mapping, again...)
		if err != nil || len(more) > 0 || !bytes.Equal(twice, out) {
			t.Fatalf("not idempotent: %v, %v\n%q\n%q", err, more, out, twice)
		}
	}
	asJSON := json.Valid(bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF"))) && json.Valid(bytes.TrimPrefix(out, []byte("\xEF\xBB\xBF")))
	want, got := plain(t, src, asJSON), plain(t, out, asJSON)
	if rows, ok := at(want, "Mappings", mapping).(map[string]any); ok || at(want, "Mappings") != nil {
		if !ok || isFunctionMap(rows) {
			rows = map[string]any{}
			at(want, "Mappings").(map[string]any)[mapping] = rows
		}
		for _, e := range edits {
			if e.Remove {
				delete(rows, e.Region)
				continue
			}
			row, ok := rows[e.Region].(map[string]any)
			if !ok || isFunctionMap(row) {
				row = map[string]any{}
				rows[e.Region] = row
			}
			row[e.Attribute] = e.Value
		}
	}
	if w, g := fmt.Sprintf("%#v", want), fmt.Sprintf("%#v", got); w != g {
		t.Fatalf("values differ\nwant %s\ngot  %s\n%q\n%q", w, g, src, out)
	}
	if before.yaml != nil {
		sameOutside(t, src, out)
	}
	return out, nil
}

func isFunctionMap(m map[string]any) bool {
	for k := range m {
		return len(m) == 1 && isFunction(k)
	}
	return false
}

// plain decodes a template into maps, lists and texts, independently of the
// package.
func plain(t *testing.T, src []byte, asJSON bool) any {
	t.Helper()
	src = bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF"))
	var v any
	if asJSON {
		dec := json.NewDecoder(bytes.NewReader(src))
		dec.UseNumber() // some numbers do not fit into a float64
		if dec.Decode(&v) == nil {
			return v
		}
	}
	var n yaml.Node
	if err := yaml.Unmarshal(src, &n); err != nil {
		t.Fatal(err)
	}
	n.Content[0].Tag = "" // sameOutside compares it
	return plainNode(&n, 0)
}

func plainNode(n *yaml.Node, depth int) any {
	if depth > 200 {
		return "deep"
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return plainNode(n.Content[0], depth)
	case yaml.AliasNode:
		return "*" + n.Value
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plainNode(n.Content[i+1], depth+1)
		}
		if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
			return fmt.Sprint(n.Tag, m)
		}
		return m
	case yaml.SequenceNode:
		l := []any{}
		for _, c := range n.Content {
			l = append(l, plainNode(c, depth+1))
		}
		return l
	}
	if n.Tag == "!!null" {
		return nil
	}
	if n.Tag == "!!str" {
		return n.Value
	}
	return n.Tag + " " + n.Value
}

func at(v any, path ...string) any {
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

// sameOutside compares the trees of all sections but Mappings.
func sameOutside(t *testing.T, src, out []byte) {
	t.Helper()
	var a, b yaml.Node
	if err := yaml.Unmarshal(bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF")), &a); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(bytes.TrimPrefix(out, []byte("\xEF\xBB\xBF")), &b); err != nil {
		t.Fatal(err)
	}
	ra, rb := a.Content[0], b.Content[0]
	if ra.Tag != rb.Tag || len(ra.Content) != len(rb.Content) {
		t.Fatalf("got %d and %d nodes at the top\n%q\n%q", len(ra.Content), len(rb.Content), src, out)
	}
	for i := 0; i < len(ra.Content); i += 2 {
		if ra.Content[i].Value != "Mappings" && (!equalYAML(ra.Content[i], rb.Content[i]) || !equalYAML(ra.Content[i+1], rb.Content[i+1])) {
			t.Fatalf("section %s changed\n%q\n%q", ra.Content[i].Value, src, out)
		}
	}
}

func equalYAML(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || a.Anchor != b.Anchor || a.Style != b.Style || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !equalYAML(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

// mapNames lists the maps of a template.
func mapNames(p *Template) []string {
	var names []string
	if p.mappings.key != nil {
		for _, e := range p.mappings.val.entry {
			names = append(names, e.key.text)
		}
	}
	return names
}

// skimsRight compares the results of the short and the full parse.
func skimsRight(t *testing.T, src []byte) bool {
	t.Helper()
	short := &Template{name: "t", src: src}
	if bytes.HasPrefix(src, []byte("\xEF\xBB\xBF")) {
		short.bom = 3
	}
	long := *short
	if !short.parseSection() {
		return false
	}
	if err := long.parseWhole(); err != nil {
		t.Fatalf("got an error only from the full parse: %v\n%q", err, src)
	}
	if long.from != short.from || long.to != short.to || !slices.Equal(long.lines, short.lines) {
		t.Fatalf("got section %d:%d, want %d:%d as in the full parse\n%q", short.from, short.to, long.from, long.to, src)
	}
	if !reflect.DeepEqual(long.mappings, short.mappings) {
		t.Fatalf("the section differs from the full parse\n%q", src)
	}
	return true
}

func fuzzOne(t *testing.T, src []byte) {
	skimsRight(t, src)
	p, err := Parse("t", src)
	if err != nil || len(src) > 4096 {
		return
	}
	names := mapNames(p)
	if len(names) > 3 {
		names = names[:3]
	}
	for _, name := range names {
		m, err := p.Mapping(name)
		if err != nil {
			continue
		}
		if len(m.Rows) > 4 {
			m.Rows = m.Rows[:4]
		}
		for _, edits := range everyEdit(m) {
			if checkNames(edits) {
				_, _ = holdsProperty(t, src, name, edits)
			}
		}
	}
}

func checkNames(edits []Edit) bool {
	for _, e := range edits {
		if checkEdit("M", e) != nil {
			return false
		}
	}
	return len(edits) > 0
}

func FuzzYAML(f *testing.F) {
	for _, tt := range skimmed {
		f.Add([]byte(strings.ReplaceAll(tt.in, "M: {}", "M:\n    r:\n      AMI: x # c\n    s:\n      AMI: y")))
	}
	for _, tt := range applyCases {
		if !strings.HasPrefix(tt.in, "{") {
			f.Add([]byte(tt.in))
		}
	}
	for _, s := range []string{
		"Mappings:\n  M:\n    us-east-1: &a { AMI: !Ref X, B: , C, \"D\": 'x''y' } # c\n    r2: !t\n      AMI:   # todo\n      B: |\n        text\n    r3: *a\n    ? r4\n    : {}\n    r5: \nR: *a\n",
		"\xEF\xBB\xBFMappings: {M: {a-b-1: {AMI: x}, \"b\" : {'AMI' : ~,},}}\r\n",
		"A: |\n  Mappings:\n   M: x\nMappings:\r\n  M:\r\n    a: {AMI: \"\"}\r\n\r\n    # c\r\nB: 1\r\n...\n",
		"Mappings:\n  M: !Ref X # c\n  N:\n  O: {}\n  P: ~\n# tail",
		"%TAG ! tag:x,2000:\n---\nMappings:\n M:\n  r:\n   - x\n  s:\n   AMI: \"a\n    b\"\n   B: c\n    d\n  t: {A: [1, 2], B: {C: d}}\n",
		"Mappings:\u0085  M:\u2028    a: {AMI: x}\r    b: {AMI: y}\u2029é: ü\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(fuzzOne)
}

func FuzzJSON(f *testing.F) {
	for _, tt := range applyCases {
		if strings.HasPrefix(tt.in, "{") {
			f.Add([]byte(tt.in))
		}
	}
	for _, s := range []string{
		"\xEF\xBB\xBF{\"Mappings\" : { \"M\" : { \"a\" : { \"AMI\" : null }, \"b\":{} } , \"N\": {} }, \"R\": [1, {\"\\u0041\": true}] }\r\n",
		"{\t\"Mappings\":{\"M\":\n{\"a\":{\"Ref\":\"x\"},\n \"b\":{\"AMI\":\"x\\\"y\",\"C\":[\"1\"]},\r\n  \"c\":{\"AMI\":1}}}}",
		"{Mappings: {M: {a: {AMI: x}, b: {AMI: 'y', }}}}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(fuzzOne)
}
