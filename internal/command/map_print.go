// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/didyoumean"
)

// mapCells is the output of `map get -json`. docs/template-map.md documents it;
// fields may be added.
type mapCells struct {
	Template string    `json:"template"`
	Mapping  string    `json:"mapping"`
	Cells    []mapCell `json:"cells"`
	Errors   []string  `json:"errors"`
}

type mapCell struct {
	Region    string  `json:"region"`
	Attribute string  `json:"attribute"`
	Value     *string `json:"value"` // null if it does not exist or is not text
	Image     bool    `json:"image"`
	Line      int     `json:"line"` // of the cell, its row, or the map, whichever exists
	Column    int     `json:"column"`
}

// mapChanges is the output of `map set -json` and `map diff -json`.
type mapChanges struct {
	Template string      `json:"template"`
	Mapping  string      `json:"mapping"`
	Output   string      `json:"output"`
	Written  bool        `json:"written"`
	Changes  []mapChange `json:"changes"`
	Notes    []string    `json:"notes"`
	Diff     string      `json:"diff,omitempty"`
}

type mapChange struct {
	Region    string  `json:"region"`
	Attribute string  `json:"attribute"`
	Old       *string `json:"old"` // null if the cell is new
	New       *string `json:"new"` // null if the cell is removed
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// textOrNull returns nil for an empty text.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// printChanges prints the result of set or diff.
func (o *mapOptions) printChanges(verb string, std streams, template, target string, wrote bool, report *cfntemplate.Report, diff []byte) error {
	if o.json {
		out := mapChanges{Template: template, Mapping: o.mapping, Output: target, Written: wrote, Changes: []mapChange{}, Notes: report.Notes, Diff: string(diff)}
		if out.Notes == nil {
			out.Notes = []string{}
		}
		for _, c := range report.Changes {
			out.Changes = append(out.Changes, mapChange{c.Region, c.Attribute, textOrNull(c.Old), textOrNull(c.New)})
		}
		return printJSON(std.out, out)
	}
	for _, note := range report.Notes {
		fmt.Fprintln(std.err, "note: "+note)
	}
	if verb == "diff" {
		_, err := std.out.Write(diff)
		return err
	}
	for _, c := range report.Changes {
		fmt.Fprintln(std.out, c)
	}
	switch {
	case wrote:
		fmt.Fprintln(std.out, target)
	case len(report.Changes) == 0:
		fmt.Fprintln(std.out, target+" did not change")
	}
	return nil
}

// get prints cells: `REGION.ATTRIBUTE VALUE` of the whole map, or the bare
// values of some regions.
func (o *mapOptions) get(template string, words []string, std streams) (int, error) {
	for _, word := range words {
		if err := o.checkWord(word); err != nil {
			return exitUsage, err
		}
	}
	m, err := o.read(template)
	if err != nil {
		return exitError, err
	}
	g := getter{o: o, template: template, m: m, attributes: m.Attributes(), seen: map[string]bool{}, out: mapCells{Template: template, Mapping: o.mapping, Cells: []mapCell{}, Errors: []string{}}}
	for _, word := range words {
		region, attribute := o.cell(word)
		if c := m.Look(region, attribute); g.judge(region, c, g.hint(region, attribute)) && !bool(o.json) {
			fmt.Fprintln(std.out, c.Value)
		}
	}
	if len(words) == 0 {
		out := bufio.NewWriter(std.out)
		g.everything(out)
		if err := out.Flush(); err != nil {
			return exitError, err
		}
	}
	if o.json {
		if err := printJSON(std.out, g.out); err != nil {
			return exitError, err
		}
	}
	switch {
	case g.unread:
		return exitError, errors.Join(g.errs...)
	case len(g.errs) > 0:
		return exitProblem, errors.Join(g.errs...)
	}
	return exitOK, nil
}

// checkWord checks REGION or REGION.ATTRIBUTE. A row need not be named after a
// region.
func (o *mapOptions) checkWord(word string) error {
	region, attribute := o.cell(word)
	if region == "" || strings.ContainsAny(region, "= \t/") {
		return fmt.Errorf("got %q, want REGION such as us-east-1, or REGION.ATTRIBUTE such as us-east-1.AMI", word)
	}
	if err := cfntemplate.CheckAttribute(attribute); err != nil {
		return fmt.Errorf("%q: %w", word, err)
	}
	return nil
}

// getter collects the result of get.
type getter struct {
	o          *mapOptions
	template   string
	m          *cfntemplate.Mapping
	attributes []string // of the map
	out        mapCells
	errs       []error
	seen       map[string]bool // errors
	unread     bool            // one of errs is about a row that cannot be read
}

func (g *getter) fail(err error) {
	if text := err.Error(); !g.seen[text] {
		g.seen[text] = true
		g.errs = append(g.errs, err)
		g.out.Errors = append(g.out.Errors, text)
	}
}

// add adds a cell to the list.
func (g *getter) add(region string, c cfntemplate.Cell) {
	g.out.Cells = append(g.out.Cells, mapCell{region, c.Name, textOrNull(c.Value), c.HasImage(), c.Line, c.Column})
}

// judge adds a cell that should have an image, and reports whether it has one.
func (g *getter) judge(region string, c cfntemplate.Cell, hint string) bool {
	g.add(region, c)
	switch {
	case c.Err != nil:
		g.unread = true
		g.fail(c.Err)
	case !c.HasImage():
		g.fail(fmt.Errorf("%s:%d:%d: no image: %s.%s.%s %s%s", g.template, c.Line, c.Column, g.o.mapping, region, c.Name, c.Lack(), hint))
	}
	return c.HasImage()
}

// hint suggests a name for a row or an attribute that does not exist.
func (g *getter) hint(region, attribute string) string {
	near := ""
	if _, there := g.m.Row(region); !there {
		names := make([]string, len(g.m.Rows))
		for i, r := range g.m.Rows {
			names[i] = r.Region
		}
		near = didyoumean.Nearest(region, names)
	} else if !slices.Contains(g.attributes, attribute) {
		if near = didyoumean.Nearest(attribute, g.attributes); near == "" && len(g.attributes) > 0 {
			return "; the rows have " + strings.Join(g.attributes, ", ")
		}
	}
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", near)
}

// everything lists the map.
func (g *getter) everything(w io.Writer) {
	listed, expected := g.attributes, make(map[string]bool)
	if g.o.chosen {
		listed = []string{g.o.attribute}
	}
	for _, r := range g.m.Rows {
		for _, c := range r.Cells {
			expected[c.Name] = expected[c.Name] || c.HasImage()
		}
	}
	if !slices.ContainsFunc(listed, func(name string) bool { return expected[name] }) {
		for _, name := range listed {
			expected[name] = true
		}
	}
	if len(listed) == 0 {
		listed = []string{g.o.attribute}
	}
	expected[g.o.attribute] = true
	if len(g.m.Rows) == 0 {
		g.fail(fmt.Errorf("%s:%d:%d: no image: %s has no rows", g.template, g.m.Line, g.m.Column, g.o.mapping))
	}
	for _, r := range g.m.Rows {
		if r.Err != nil {
			g.judge(r.Region, cfntemplate.Cell{Name: g.o.attribute, Pos: r.Pos, Err: r.Err}, "")
			continue
		}
		has := make(map[string]bool, len(r.Cells))
		for _, c := range r.Cells {
			has[c.Name] = true
			if g.o.chosen && c.Name != g.o.attribute {
				continue
			}
			if !bool(g.o.json) && c.Err == nil {
				fmt.Fprintf(w, "%s.%s %s\n", r.Region, c.Name, c.Value)
			}
			if expected[c.Name] {
				g.judge(r.Region, c, "")
			} else {
				g.add(r.Region, c)
			}
		}
		for _, name := range listed {
			if !has[name] && expected[name] {
				g.judge(r.Region, g.m.Look(r.Region, name), "")
			}
		}
	}
}
