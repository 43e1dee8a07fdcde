// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
)

const regionMap = "AWSRegion2AMI"

func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/corpus/*")
	if err != nil || len(files) < 30 {
		t.Fatalf("got %d templates in the corpus, want 30 or more (%v)", len(files), err)
	}
	all := make(map[string][]byte)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(f)] = b
	}
	return all
}

// grown puts a section of about size bytes in front of a YAML template.
func grown(src []byte, size int) []byte {
	var b bytes.Buffer
	b.WriteString("Metadata:\n  Notes:\n")
	for i := 0; b.Len() < size-len(src); i++ {
		fmt.Fprintf(&b, "    - {Rig: %d, Where: \"shelf %d\", Says: |-\n        none}\n", i, i%7)
	}
	return append(bytes.ReplaceAll(b.Bytes(), []byte("|-\n        none"), []byte("none")), src...)
}

// commentsOf lists the text after # in each line.
func commentsOf(src []byte) string {
	var all []string
	for _, line := range strings.FieldsFunc(string(src), func(r rune) bool { return r == '\n' || r == '\r' }) {
		if i := strings.Index(line, "#"); i >= 0 {
			all = append(all, line[i:])
		}
	}
	return strings.Join(all, "\n")
}

// TestCorpus makes every edit in every template. None may be rejected; the bytes
// outside the map must be unchanged, and the property test must hold.
func TestCorpus(t *testing.T) {
	all := corpus(t)
	all["1-mb.yaml"] = grown(all["comments.yaml"], 1_000_000)
	for name, src := range all {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(name, src)
			if err != nil {
				t.Fatal(err)
			}
			m, err := p.Mapping(regionMap)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Rows) < 2 {
				t.Fatalf("got %d rows, want 2 or more", len(m.Rows))
			}
			e, err := p.locate(regionMap)
			if err != nil {
				t.Fatal(err)
			}
			before, behind := e.key.start, len(src)-p.lineEnd(e.val.end)
			edits := everyEdit(m)
			if len(src) > 100_000 {
				edits = edits[:2]
			}
			for _, edit := range edits {
				out, err := holdsProperty(t, src, regionMap, edit)
				if err != nil {
					t.Errorf("%v: %v", edit, err)
					continue
				}
				if removes := edit[0].Remove; !removes && commentsOf(out) != commentsOf(src) {
					t.Errorf("%v: comments changed\n%s", edit, out)
				}
				if bytes.Equal(out, src) {
					t.Errorf("%v: nothing changed", edit)
				}
				if !bytes.Equal(out[:before], src[:before]) || !bytes.Equal(out[len(out)-behind:], src[len(src)-behind:]) {
					t.Errorf("%v: bytes outside the map changed\n%q", edit, out)
				}
				if bytes.Count(src, []byte("\r\n")) == bytes.Count(src, []byte("\n")) && bytes.Count(out, []byte("\r\n")) != bytes.Count(out, []byte("\n")) {
					t.Errorf("%v: got a line end that is not CRLF\n%q", edit, out)
				}
			}
		})
	}
}

// TestStyle checks that a new row has the style of its siblings: with names and
// values replaced, it must equal the last row before it.
func TestStyle(t *testing.T) {
	for name, src := range corpus(t) {
		// Not comparable: rows or line ends in several styles, comments between the parts of
		// a row, escapes, placeholders.
		if strings.HasPrefix(name, "mixed-") || strings.HasPrefix(name, "comments") || strings.HasPrefix(name, "blank") ||
			strings.HasPrefix(name, "escapes") || strings.HasPrefix(name, "placeholders") || strings.HasPrefix(name, "engine") || name == "non-ascii.yaml" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p, err := Parse(name, src)
			if err != nil {
				t.Fatal(err)
			}
			m, _ := p.Mapping(regionMap)
			last := m.Rows[len(m.Rows)-1]
			region := strings.Repeat("x", len(last.Region)-2) + "-9" // of equal length, for aligned rows
			var edits []Edit
			for _, c := range last.Cells {
				edits = append(edits, Edit{Region: region, Attribute: c.Name, Value: amiN})
			}
			out, _, err := p.Apply(regionMap, edits...)
			if err != nil {
				t.Fatal(err)
			}
			q, err := Parse(name, out)
			if err != nil {
				t.Fatal(err)
			}
			text := func(row entry) string {
				s := string(out[row.key.start:row.val.end])
				s = strings.ReplaceAll(s, row.key.text, "REGION")
				for _, c := range row.val.entry {
					s = strings.Replace(s, c.val.text, "VALUE", 1)
				}
				return strings.ReplaceAll(s, " # first", "")
			}
			e, _ := q.locate(regionMap)
			rows := e.val.entry
			if a, b := text(rows[len(rows)-2]), text(rows[len(rows)-1]); a != b {
				t.Errorf("got last row\n%q\nand new row\n%q", a, b)
			}
		})
	}
}

// TestLint checks that cfn-lint reports the same before and after an edit.
func TestLint(t *testing.T) {
	lint, err := exec.LookPath("cfn-lint")
	if err != nil {
		t.Skip("SKIPPED: needs cfn-lint: pip install cfn-lint")
	}
	if testing.Short() {
		t.Skip("SKIPPED: -short: cfn-lint takes a minute")
	}
	dir := t.TempDir()
	var files []string
	for name, src := range corpus(t) {
		p, err := Parse(name, src)
		if err != nil {
			t.Fatal(err)
		}
		m, err := p.Mapping(regionMap)
		if err != nil {
			t.Fatal(err)
		}
		var sets []Edit
		for _, r := range m.Rows {
			for _, c := range r.Cells {
				if c.HasImage() { // a filled placeholder is better than before
					sets = append(sets, Edit{Region: r.Region, Attribute: c.Name, Value: amiN})
				}
			}
		}
		added := []Edit{}
		for _, c := range m.Rows[0].Cells {
			added = append(added, Edit{Region: "ca-central-1", Attribute: c.Name, Value: amiN})
		}
		for kind, edits := range map[string][]Edit{"0before": nil, "1set": sets, "2added": added, "3removed": {{Region: "eu-west-1", Remove: true}}} {
			if kind == "3removed" {
				if _, there := m.Cell("eu-west-1", m.Rows[0].Cells[0].Name); !there || len(m.Rows) < 2 || strings.HasPrefix(name, "placeholders") || strings.HasPrefix(name, "engine") || name == "escapes.json" {
					continue
				}
			}
			out := src
			if len(edits) > 0 {
				if out, _, err = p.Apply(regionMap, edits...); err != nil {
					t.Fatalf("%s: %s: %v", name, kind, err)
				}
			}
			f := filepath.Join(dir, name+"-"+kind+filepath.Ext(name))
			if err := os.WriteFile(f, out, 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
	}
	cmd := exec.Command(lint, append([]string{"--format", "json", "--"}, files...)...)
	out, _ := cmd.Output() // its exit code says that it found something
	var found []struct {
		Filename, Message string
		Rule              struct{ ID string }
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("cfn-lint: %v\n%s", err, out)
	}
	digits := regexp.MustCompile(`ami-[0-9A-Za-z]+|[0-9]+`)
	said := make(map[string][]string)
	for _, f := range found {
		said[filepath.Base(f.Filename)] = append(said[filepath.Base(f.Filename)], f.Rule.ID+" "+digits.ReplaceAllString(f.Message, "N"))
	}
	for _, s := range said {
		sort.Strings(s)
	}
	if len(said) == 0 {
		t.Fatal("got no finding from cfn-lint, want warnings for some files of the corpus")
	}
	for _, f := range files {
		f = filepath.Base(f)
		i := strings.LastIndex(f, "-")
		before := f[:i] + "-0before" + filepath.Ext(f)
		was := said[before]
		if strings.HasPrefix(f, "placeholders") || strings.HasPrefix(f, "engine") {
			// A complete row may fix a finding; there must be no new one.
			was = slices.DeleteFunc(slices.Clone(was), func(s string) bool { return !slices.Contains(said[f], s) })
		}
		if a, b := strings.Join(was, "\n"), strings.Join(said[f], "\n"); a != b {
			t.Errorf("%s: got findings of cfn-lint before\n%s\nand after\n%s", f, a, b)
		}
	}
}
