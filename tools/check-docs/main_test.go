// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	p := parse(strings.Join([]string{
		"# A `page`, with a [link](a.md)",
		"## Twice",
		"## Twice",
		"- `an_option` (string) - see [it](#an_option) and `[not](this.md)`",
		"```hcl",
		"# [not](this.md) either",
		"```",
		"```shell",
		"# Not a heading",
		"```",
		"[two](b.md#x \"title\") [`code`](c/d.md)",
	}, "\n"))
	anchors := map[string]bool{"a-page-with-a-link": true, "twice": true, "twice-1": true, "an_option": true}
	if !reflect.DeepEqual(p.anchors, anchors) {
		t.Errorf("anchors are %v; want %v", p.anchors, anchors)
	}
	links := []link{{1, "a.md"}, {4, "#an_option"}, {11, "b.md#x"}, {11, "c/d.md"}}
	if !reflect.DeepEqual(p.links, links) {
		t.Errorf("links are %v; want %v", p.links, links)
	}
	blocks := []block{{6, "# [not](this.md) either\n"}}
	if !reflect.DeepEqual(p.blocks, blocks) {
		t.Errorf("blocks are %v; want %v", p.blocks, blocks)
	}
}

func TestCheckLink(t *testing.T) {
	t.Chdir("testdata")
	s, err := read([]string{"README.md", "docs/page.mdx"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, target, says string }{
		{"README.md", "#there", ""},
		{"README.md", "#nowhere", `no heading "nowhere"`},
		{"README.md", "docs/page.mdx", ""},
		{"README.md", "docs/page.mdx#in-the-page", ""},
		{"README.md", "docs/page.mdx#there", `no heading "there"`},
		{"README.md", "docs/other.mdx", "docs/other.mdx does not exist"},
		{"README.md", "docs", ""},
		{"README.md", "docs#there", "not a document"},
		{"README.md", "../README.md", "outside the repository"},
		{"README.md", "/docs/page.mdx", "relative to the file"},
		{"README.md", "https://example.com/#anything", ""},
		{"README.md", repository + "docs/page.mdx", ""},
		{"README.md", repository + "docs/other.mdx", "docs/other.mdx does not exist"},
		{"README.md", integration + "builder/other", ".web-docs/components/builder/other/README.md does not exist"},
		{"docs/page.mdx", "../README.md#there", ""},
		{"docs/page.mdx", "README.md", "docs/README.md does not exist"},
	} {
		err := s.checkLink(c.file, c.target)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s in %s: %v; want %q", c.target, c.file, err, c.says)
		}
	}
}

func TestWhole(t *testing.T) {
	const source = "source \"ethminer-ami\" \"docs\" {\n  rehearsal = true\n  region    = \"eu-central-1\"\n}\n"
	const variable = "variable \"rehearsal\" {\n  default = false\n}\n"
	const open, end = "build {\n  sources = [\"source.ethminer-ami.docs\"]\n", "}\n"
	for _, c := range []struct{ text, want string }{
		{"source \"null\" \"a\" {}\nbuild {}\n", "source \"null\" \"a\" {}\nbuild {}\n"},
		{"packer {}\n", "packer {}\n" + source + open + end},
		{"post-processor \"manifest\" {}\n", variable + source + open + "post-processor \"manifest\" {}\n" + end},
		{"# why\n\nprovisioner \"x\" {}\n", variable + source + open + "# why\n\nprovisioner \"x\" {}\n" + end},
	} {
		if got := whole(c.text); got != c.want {
			t.Errorf("%q becomes %q; want %q", c.text, got, c.want)
		}
	}
}

func TestMissing(t *testing.T) {
	const schema = "func (*FlatConfig) HCL2Spec() map[string]hcldec.Spec {\n\ts := map[string]hcldec.Spec{\n" +
		"\t\t\"region\": &hcldec.AttrSpec{Name: \"region\"},\n\t\t\"packer_debug\": nil,\n\t\t\"endpoint\": nil,\n\t}\n}\n"
	for _, c := range []struct {
		schema, page string
		says         []string
	}{
		{schema, "- `region` (string) - it\n- `endpoint` (string) - it\n", nil},
		{schema, "- `region` (string) - it\n", []string{"\"endpoint\""}},
		{schema, "", []string{"\"region\"", "\"endpoint\""}},
		{"package ami\n", "", []string{"no HCL2Spec"}},
	} {
		findings := missing("config.hcl2spec.go", c.schema, "README.md", c.page)
		if len(findings) != len(c.says) {
			t.Errorf("findings are %v; want %q", findings, c.says)
			continue
		}
		for i, want := range c.says {
			if !strings.Contains(findings[i].Error(), want) {
				t.Errorf("finding %v; want %q", findings[i], want)
			}
		}
	}
}

func TestWordsIn(t *testing.T) {
	got := wordsIn("GPUs are\noften not to be had.\n// launched anew\nrecommend renewal\n")
	want := []string{`2: unusual wording "to be had"; write "available"`, `3: unusual wording "anew"; write "again"`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
}
