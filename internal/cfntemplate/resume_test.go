// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"fmt"
	"strings"
	"testing"
)

// TestUpdate checks the handling of an existing output. %1, %2 ... stand for ids.
func TestUpdate(t *testing.T) {
	const template = "# made by hand\nMappings:\n  M:\n    us-east-1: {A: ami-TODO, B: ami-TODO} # east\n    us-west-2: {A: %1, B: %1}\nResources: {}\n"
	const filledA = "# made by hand\nMappings:\n  M:\n    us-east-1: {A: %2, B: ami-TODO} # east\n    us-west-2: {A: %2, B: %1}\nResources: {}\n"
	const both = "# made by hand\nMappings:\n  M:\n    us-east-1: {A: %2, B: %3} # east\n    us-west-2: {A: %2, B: %3}\nResources: {}\n"
	const other = "    # a line more\n    us-west-2: {A"
	changed := strings.Replace(template, "    us-west-2: {A", other, 1)
	ids := strings.NewReplacer("%1", "ami-00000000000000001", "%2", "ami-00000000000000002", "%3", "ami-00000000000000003", "%4", "ami-00000000000000004")
	b := []Image{{"us-east-1", "B", "%3"}, {"us-west-2", "B", "%3"}}
	for _, tt := range []struct {
		why              string
		template, output string
		images           []Image
		policy           Policy
		want, note       string
	}{
		{why: "another build has filled its column", template: template, output: filledA, images: b, want: both, note: "out keeps the images of other builds: A in us-east-1, us-west-2"},
		{why: "an earlier run has filled this column", template: template, output: filledA, images: []Image{{"us-east-1", "A", "%4"}},
			want: strings.Replace(filledA, "{A: %2, B: ami-TODO}", "{A: %4, B: ami-TODO}", 1), note: "keeps the images of other builds: A in us-west-2"},
		{why: "another build has added a row", template: template, output: strings.Replace(filledA, "Resources", "    eu-west-1: {A: %2}\nResources", 1), images: b,
			want: strings.Replace(both, "Resources", "    eu-west-1: {A: %2}\nResources", 1), note: "A in eu-west-1, us-east-1, us-west-2"},
		{why: "another build has added a row and this one fills it", template: template, output: strings.Replace(filledA, "Resources", "    eu-west-1: {A: %2}\nResources", 1), images: []Image{{"eu-west-1", "B", "%3"}},
			want: strings.Replace(filledA, "Resources", "    eu-west-1: {A: %2, B: %3}\nResources", 1)},
		{why: "another build has added a column", template: strings.ReplaceAll(strings.ReplaceAll(template, ", B: ami-TODO", ""), ", B: %1", ""), output: strings.Replace(filledA, "ami-TODO", "%3", 1), images: []Image{{"us-east-1", "A", "%4"}},
			want: strings.Replace(strings.Replace(filledA, "{A: %2", "{A: %4", 1), "ami-TODO", "%3", 1)},
		{why: "another build has removed a row that it did not fill", template: template, output: "# made by hand\nMappings:\n  M:\n    us-east-1: {A: %2, B: ami-TODO} # east\nResources: {}\n", images: b[:1], policy: Policy{Stale: StaleRemove},
			want: "# made by hand\nMappings:\n  M:\n    us-east-1: {A: %2, B: %3} # east\nResources: {}\n"},
		{why: "this build fills a row that another build has removed", template: strings.ReplaceAll(template, "B: ami-TODO", "B: ami-TODO, N: pl-1"), output: "# made by hand\nMappings:\n  M:\n    us-west-2: {A: %2, B: %1}\nResources: {}\n", images: b[:1], policy: Policy{Stale: StaleRemove},
			want: strings.Replace(strings.Replace(strings.ReplaceAll(template, "B: ami-TODO", "B: ami-TODO, N: pl-1"), "B: ami-TODO", "B: %3", 1), "{A: %1, B: %1}", "{A: %2, B: %1}", 1), note: "out has no row for us-east-1 any more; it is rebuilt from t; it keeps the images of other builds: A in us-west-2"},
		{why: "remove spares a row that another build has filled", template: template, output: filledA, images: b[:1], policy: Policy{Stale: StaleRemove},
			want: strings.Replace(filledA, "ami-TODO", "%3", 1), note: "row us-west-2 is not removed: it has an image in A"},
		{why: "the template has got a comment in the map", template: changed, output: filledA, images: b[:1],
			want: strings.Replace(changed, "{A: ami-TODO, B: ami-TODO}", "{A: %2, B: %3}", 1),
			note: "t has changed since out was written; out is rebuilt from it; the template's own images replace those of other builds in A in us-west-2; it keeps the images of other builds: A in us-east-1"},
		{why: "the template has got a section", template: template + "Outputs: {}\n", output: filledA, images: b[:1],
			want: strings.Replace(template, "{A: ami-TODO, B: ami-TODO}", "{A: %2, B: %3}", 1) + "Outputs: {}\n", note: "has changed since"},
		{why: "the template has got a row", template: strings.Replace(template, "Resources", "    sa-east-1: {A: ami-TODO, B: ami-TODO}\nResources", 1), output: filledA, images: b[:1],
			want: strings.Replace(strings.Replace(template, "{A: ami-TODO, B: ami-TODO}", "{A: %2, B: %3}", 1), "Resources", "    sa-east-1: {A: ami-TODO, B: ami-TODO}\nResources", 1), note: "has changed since"},
		{why: "the template has got a column: the new one is there, and the images too", template: strings.ReplaceAll(template, "{A", "{C: ami-TODO, A"), output: filledA, images: b[:1],
			want: strings.Replace(strings.ReplaceAll(template, "{A", "{C: ami-TODO, A"), "A: ami-TODO, B: ami-TODO", "A: %2, B: %3", 1), note: "has changed since"},
		{why: "the template has lost a value that is no image", template: template, output: strings.Replace(filledA, "B: ami-TODO", "B: ami-TODO, N: pl-1", 1), images: b[:1],
			want: strings.Replace(template, "{A: ami-TODO, B: ami-TODO}", "{A: %2, B: %3}", 1), note: "has changed since"},
		{why: "the template has got another list", template: strings.Replace(template, "B: ami-TODO", "B: ami-TODO, Z: [a, c]", 1), output: strings.Replace(filledA, "B: ami-TODO", "B: ami-TODO, Z: [a, b]", 1), images: b[:1],
			want: strings.Replace(template, "{A: ami-TODO, B: ami-TODO}", "{A: %2, B: %3, Z: [a, c]}", 1), note: "has changed since"},
		{why: "an output that is something else", template: template, output: "Resources: {}\n", images: b[:1], want: strings.Replace(template, "B: ami-TODO", "B: %3", 1), note: "out is written from t alone: out: the template has no section Mappings"},
		{why: "an output that is damaged", template: template, output: filledA[:60] + "\n{", images: b[:1], want: strings.Replace(template, "B: ami-TODO", "B: %3", 1), note: "out is written from t alone: out:"},
		{why: "an empty output", template: template, output: "", images: b[:1], want: strings.Replace(template, "B: ami-TODO", "B: %3", 1), note: "out is written from t alone: out: the template is empty"},
		{why: "a template whose map is empty", template: "Mappings:\n  M: {}\nResources: {}\n", output: "Mappings:\n  M:\n    us-east-1:\n      A: %2\nResources: {}\n", images: b[:1], policy: Policy{New: []string{"B"}},
			want: "Mappings:\n  M:\n    us-east-1:\n      A: %2\n      B: %3\nResources: {}\n"},
		{why: "JSON", template: `{"Mappings":{"M":{"us-east-1":{"A":"","B":""}}},"Resources":{}}`, output: `{"Mappings":{"M":{"us-east-1":{"A":"%2","B":""}}},"Resources":{}}`, images: b[:1],
			want: `{"Mappings":{"M":{"us-east-1":{"A":"%2","B":"%3"}}},"Resources":{}}`, note: "out keeps"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			tt.policy.Mapping, tt.policy.Options = "M", testOptions
			images := make([]Image, len(tt.images))
			for i, image := range tt.images {
				image.ID = ids.Replace(image.ID)
				images[i] = image
			}
			out, report, err := Update("t", []byte(ids.Replace(tt.template)), "out", []byte(ids.Replace(tt.output)), images, tt.policy)
			if err != nil {
				t.Fatal(err)
			}
			if notes := strings.Join(report.Notes, "\n"); string(out) != ids.Replace(tt.want) || !strings.Contains(notes, tt.note) {
				t.Errorf("got\n%s%s\nwant\n%s%s", out, notes, ids.Replace(tt.want), tt.note)
			}
		})
	}
}

// TestUpdateInAnyOrder: builds that each fill one attribute, in any order and any number of
// times, keep each other's results, whatever the style of the template.
func TestUpdateInAnyOrder(t *testing.T) {
	for name, src := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			p, err := Parse(name, src)
			if err != nil {
				t.Fatal(err)
			}
			m, err := p.Mapping(regionMap)
			if err != nil {
				t.Fatal(err)
			}
			columns := append([]string{"New1", "New2"}, m.Attributes()...)
			if len(columns) > 4 {
				columns = columns[:4]
			}
			var regions []string
			for _, r := range m.Rows {
				if IsRegion(r.Region) && r.Err == nil {
					regions = append(regions, r.Region)
				}
			}
			regions = append(regions, "xx-added-1")
			want := make(map[[2]string]string)
			var output []byte
			for round, order := range [][]int{{0, 1, 2, 3}, {3, 1, 0, 2}, {2, 2, 3, 0}, {1}} {
				for _, k := range order {
					if k >= len(columns) {
						continue
					}
					var images []Image
					for i, r := range regions {
						if i%3 == round%3 && i > 0 {
							continue // each build skips some rows
						}
						id := fmt.Sprintf("ami-%017x", 1000*(round+1)+10*i+k)
						images = append(images, Image{r, columns[k], id})
						want[[2]string{r, columns[k]}] = id
					}
					out, _, err := Update(name, src, "out", output, images, Policy{Mapping: regionMap, New: columns, Options: testOptions})
					if err != nil {
						t.Fatal(err)
					}
					output = out
				}
			}
			q, err := Parse("out", output)
			if err != nil {
				t.Fatal(err)
			}
			got, err := q.Mapping(regionMap)
			if err != nil {
				t.Fatal(err)
			}
			for cell, id := range want {
				if c, _ := got.Cell(cell[0], cell[1]); c.Value != id {
					t.Errorf("%s.%s: got %q, want %s\n%s", cell[0], cell[1], c.Value, id, output)
				}
			}
		})
	}
}

// TestStaleRowsOfTwoBuilds: two builds that fill different regions and remove stale rows
// yield the same file in any order. A row that one of them fills keeps its other cells.
func TestStaleRowsOfTwoBuilds(t *testing.T) {
	const template = "Mappings:\n  M:\n    eu-central-1: {A: ami-TODO, B: ami-TODO, N: subnet-1}\n    us-east-1: {A: ami-TODO, B: ami-TODO, N: subnet-2}\n" +
		"    us-west-2: {A: ami-TODO, B: ami-TODO, N: subnet-3}\n    sa-east-1: {A: ami-TODO, B: ami-TODO, N: subnet-4}\n"
	a, b := "ami-0aaaaaaaaaaaaaaaa", "ami-0bbbbbbbbbbbbbbbb"
	builds := [][]Image{{{"eu-central-1", "A", a}, {"us-east-1", "A", a}}, {{"eu-central-1", "B", b}, {"us-west-2", "B", b}}}
	later := []string{"B", "A"}
	filled := strings.NewReplacer("A: ami-TODO, B: ami-TODO, N: subnet-1", "A: "+a+", B: "+b+", N: subnet-1",
		"A: ami-TODO, B: ami-TODO, N: subnet-2", "A: "+a+", B: ami-TODO, N: subnet-2", "A: ami-TODO, B: ami-TODO, N: subnet-3", "A: ami-TODO, B: "+b+", N: subnet-3").Replace(template)
	for _, inPlace := range []bool{false, true} {
		want := filled // in place, sa-east-1 stays: another build could fill it
		if !inPlace {
			want = strings.Replace(filled, "    sa-east-1: {A: ami-TODO, B: ami-TODO, N: subnet-4}\n", "", 1)
		}
		for _, order := range [][]int{{0, 1}, {1, 0}} {
			src, current := []byte(template), []byte(nil)
			for _, k := range order {
				out, _, err := Update("t", src, "out", current, builds[k], Policy{Mapping: "M", Stale: StaleRemove, Later: later[k : k+1], InPlace: inPlace, Options: testOptions})
				if err != nil {
					t.Fatal(err)
				}
				if current = out; inPlace {
					src, current = out, nil
				}
			}
			got := current
			if inPlace {
				got = src
			}
			if string(got) != want {
				t.Errorf("in place %v, order %v: got\n%s\nwant\n%s", inPlace, order, got, want)
			}
		}
	}
}
