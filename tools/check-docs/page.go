// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// page holds the parts of a document that are checked.
type page struct {
	anchors map[string]bool
	links   []link
	blocks  []block
}

// link is a Markdown link, and block a fenced HCL block.
type link struct {
	line   int
	target string
}
type block struct {
	line int // of its first line
	text string
}

// site maps paths in the repository to pages.
type site map[string]page

func read(files []string) (site, error) {
	s := site{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		s[file] = parse(string(text))
	}
	return s, nil
}

var (
	fence    = regexp.MustCompile("^ *```+ *([a-z]*)")
	heading  = regexp.MustCompile("^#{1,6} +(.*?) *#*$")
	option   = regexp.MustCompile("^ *[-*] `([a-zA-Z0-9_]+)` \\(")
	code     = regexp.MustCompile("`[^`]*`")
	target   = regexp.MustCompile(`\]\(([^)\s]+)(?: "[^"]*")?\)`)
	linkText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	notSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// parse parses a document. Anchors are named as on GitHub for headings, and as on
// HashiCorp's site for the options of a generated list.
func parse(text string) page {
	p := page{anchors: map[string]bool{}}
	inside, kept := false, block{}
	language := ""
	for i, line := range strings.Split(text, "\n") {
		if mark := fence.FindStringSubmatch(line); mark != nil {
			if inside && language == "hcl" {
				p.blocks = append(p.blocks, kept)
			}
			inside, language, kept = !inside, mark[1], block{line: i + 2}
			continue
		}
		if inside {
			kept.text += line + "\n"
			continue
		}
		if title := heading.FindStringSubmatch(line); title != nil {
			p.addAnchor(slug(title[1]))
		}
		if name := option.FindStringSubmatch(line); name != nil {
			p.anchors[name[1]] = true
		}
		// The text of a link may be code, and may start on the previous line.
		for _, found := range target.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
			p.links = append(p.links, link{i + 1, found[1]})
		}
	}
	return p
}

func (p page) addAnchor(name string) {
	unique := name
	for n := 1; p.anchors[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", name, n)
	}
	p.anchors[unique] = true
}

// slug returns the anchor of a heading, as GitHub and HashiCorp's site generate it.
func slug(title string) string {
	title = linkText.ReplaceAllString(title, "$1")
	title = notSlug.ReplaceAllString(strings.ToLower(title), "")
	return strings.ReplaceAll(title, " ", "-")
}
