// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSkimCorpus checks that skim can read most YAML templates, with the same result as
// the full parser.
func TestSkimCorpus(t *testing.T) {
	short, all := 0, 0
	for name, src := range corpus(t) {
		p, err := Parse(name, src)
		if err != nil || p.yaml == nil {
			continue
		}
		all++
		if skimsRight(t, src) {
			short++
		}
	}
	if short < all*3/4 {
		t.Errorf("got %d of %d templates read by skim, want three quarters or more", short, all)
	}
}

// skimmed are templates whose other sections skim must accept, and those that it
// must leave to the parser. All of them have an unindented line `Mappings:`.
var skimmed = []struct {
	name string
	in   string
	ok   bool
}{
	{"sections", "A: 1\nB: two words # c\n\n# c\nMappings:\n  M: {}\nC: 'x''y'\nD: \"a\\n\"\n", true},
	{"document mark", "--- # c\nA: 1\nMappings:\n  M: {}\n", true},
	{"byte order mark, CRLF", "\xEF\xBB\xBFA: 1\r\nMappings:\r\n  M:\r\n    r: {AMI: x}\r\nB:\r\n- 1\r\n", true},
	{"mark on the section's line", "\xEF\xBB\xBFMappings:\n  M:\n    r:\n      AMI: x\n", true},
	{"block maps and lists", "A:\n  B:\n    C: 1\n  D:\n  - a\n  - E: 1\n    F:\n    - b\n  G:\n    - c\nMappings:\n  M: {}\n", true},
	{"tags", "A:\n  B: !Ref C\n  D: !If\n  - a\n  - !Ref b\n  E: !Sub\n    - a\nMappings:\n  M: {}\n", true},
	{"flow", "A: [one, 'two', {a: b, c: [!Ref \"AWS::Region\", AWS::Region, two words]}, ] # c\nMappings:\n  M: {}\n", true},
	{"block text with a section in it", "A:\n  B: |\n\n    Mappings:\n  \t\n  C: 1\nMappings:\n  M: {}\n", false},
	{"block text", "A:\n  B: !Sub |-  # c\n    Mappings:\n\n     x: \"\n    \t\n  # c\n  C: >+\n  - D: |\n     x\nMappings:\n  M: {}\n", false},
	{"block texts", "A:\n  B: !Sub |-  # c\n    Mappings:\n\n     x: \"\n    \t\n  # c\n  C: >+\n\n  D:\n  - |\n   x\n  - E: |\n     x\nMappings:\n  M: {}\n", true},
	{"names in quotes", "'A': 1\n\"B::C\":\n  \"\": x\n\"Mappings\":\n  'M':\n    \"r\": {}\n", true},
	{"non-ASCII", "A: é—ü\n# ü\nMappings:\n  M:\n    r:\n      AMI: é\n", true},
	{"quoted text over lines", "A: \"\nMappings:\n  M: {}\nB: \"\nMappings:\n  M: {}\n", false},
	{"flow over lines", "A: [\nMappings:\n  M: {}\n]\n", false},
	{"plain text over lines", "A: b\n  c\n\n  d e # f\nB:\n- g\n h\n- I: j\n    k\nMappings:\n  M: {}\n", true},
	{"comment in plain text", "A: b\n  # c\n  d\nMappings:\n  M: {}\n", false},
	{"name in plain text", "A: b\n  c: d\nMappings:\n  M: {}\n", false},
	{"value on its line", "A:\n  !Sub a\nB: !Sub\n  'b'\nC:\n  |\n  c\nD:\n  !If\n  - d\nMappings:\n  M: {}\n", true},
	{"two values", "A:\n  'b'\n  'c'\nMappings:\n  M: {}\n", false},
	{"two tags", "A: !Sub\n  !Sub b\nMappings:\n  M: {}\n", false},
	{"no indentation that fits", "A:\n    B: 1\n  C: 2\nMappings:\n  M: {}\n", false},
	{"value within a value", "A: b: c\nMappings:\n  M: {}\n", false},
	{"tab", "A:\t1\nMappings:\n  M: {}\n", false},
	{"control character", "A: \x01\nMappings:\n  M: {}\n", false},
	{"not UTF-8", "A: \xFF\nMappings:\n  M: {}\n", false},
	{"rare line break", "A: x\u2028Mappings:\n  M: {}\n", false},
	{"bare CR", "A: 1\rB: 2\nMappings:\n  M: {}\n", false},
	{"anchor", "A: &a 1\nMappings:\n  M: {}\n", false},
	{"alias", "Mappings:\n  M: {}\nA: *a\n", false},
	{"anchor in the section", "Mappings:\n  M: &a {}\nA: 1\n", false},
	{"directive", "%YAML 1.1\n---\nMappings:\n  M: {}\n", false},
	{"second document", "A: 1\nMappings:\n  M: {}\n---\nB: 1\n", false},
	{"end mark", "Mappings:\n  M: {}\n...\n", false},
	{"explicit key", "? A\n: 1\nMappings:\n  M: {}\n", false},
	{"second section", "Mappings:\n  M: {}\nMappings:\n  N: {}\n", false},
	{"section unclosed", "Mappings:\n  M: {r: \"\nA: 1\n", false},
	{"section a list at the margin", "Mappings:\n- M\nA: 1\n", false},
	{"indented root", "  A: 1\nMappings:\n  M: {}\n", false},
	{"no section", "A: 1\n", false},
}

func TestSkim(t *testing.T) {
	for _, tt := range skimmed {
		t.Run(tt.name, func(t *testing.T) {
			if got := skimsRight(t, []byte(tt.in)); got != tt.ok {
				t.Errorf("got accepted = %v, want %v", got, tt.ok)
			}
		})
	}
}

// TestSkimRows checks that maps of names and texts need no parser, and all others
// do.
func TestSkimRows(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"texts", "  M: # c\n    r:\n      AMI: ami-1 # c\n\n      \"B\": 'x'\n\n  # c\n  O:\n      s:\n       A: \"\"\n", true},
		{"text of a map", "  M: x\n", true},
		{"number", "  M:\n    r:\n      AMI: 1\n", false},
		{"word", "  M:\n    r:\n      AMI: No\n", false},
		{"nothing", "  M:\n    r:\n      AMI:\n", false},
		{"nothing, then a row", "  M:\n    r:\n    s:\n      A: b\n", false},
		{"tag", "  M:\n    r:\n      AMI: !Ref x\n", false},
		{"flow", "  M:\n    r: {AMI: x}\n", false},
		{"list", "  M:\n    r:\n      AMI:\n      - x\n", false},
		{"text over lines", "  M:\n    r:\n      AMI: x\n       y\n", false},
		{"columns that do not fit", "  M:\n    r:\n      AMI: x\n   s:\n      AMI: x\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := "Mappings:\n" + tt.in
			_, ok := skimRows([]byte(src), 0, len(src))
			if ok != tt.ok {
				t.Errorf("got accepted = %v, want %v", ok, tt.ok)
			}
			for _, among := range []string{src, "A: 1\n" + src + "B: 1\n"} {
				if !skimsRight(t, []byte(among)) && ok {
					t.Errorf("got a rejected template: %q", among)
				}
			}
		})
	}
}

// TestSkimMutations damages templates line by line and byte by byte, and combines
// pieces of lines, most of them not YAML. Any accepted template must be read as by
// the full parser, and the edits must hold.
func TestSkimMutations(t *testing.T) {
	rounds := 4000
	if n, err := strconv.Atoi(os.Getenv("SKIM_ROUNDS")); err == nil {
		rounds = n
	}
	var seeds [][]byte
	for _, src := range corpus(t) {
		if p, err := Parse("t", src); err == nil && p.yaml != nil && len(src) < 4096 {
			seeds = append(seeds, src)
		}
	}
	for _, tt := range skimmed {
		seeds = append(seeds, []byte(tt.in))
	}
	slices.SortFunc(seeds, bytes.Compare)
	taken := 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		src := mutated(r, seeds)
		if seed%2 == 0 {
			src = made(r)
		}
		if !skimsRight(t, src) {
			continue
		}
		taken++
		if seed%16 < 2 {
			fuzzOne(t, src)
		}
	}
	if taken < rounds/20 {
		t.Errorf("got %d of %d accepted, want 5 %% or more for a meaningful test", taken, rounds)
	}
}

func made(r *rand.Rand) []byte {
	starts := []string{"", "- ", "A: ", "B:", "- C: ", "- D:", "'E': ", "\"F\": ", "- - ", "? ", ": ", "-", "A:  !T ", "!T ", "- !T", "Mappings:"}
	values := []string{"", "", "x", "x y", "'x'", "\"x\\n\"", "[x, {y: z}]", "{ }", "|", ">-", "# c", "x # c", "!T x", "!T", "-1", "x: y", "'x", "[x", "~", "a:b", "'x' y", "--- ", "..."}
	var b bytes.Buffer
	for i := range 2 + r.IntN(7) {
		if i > 0 {
			b.WriteString([]string{"\n", "\n", "\n", "\n\n", "\r\n", "\n   \n"}[r.IntN(6)])
			b.WriteString(strings.Repeat(" ", r.IntN(5)*r.IntN(2)))
		}
		if r.IntN(8) == 0 {
			b.WriteString("\nMappings:\n  M:\n    r: {AMI: x}\n")
		}
		b.WriteString(starts[r.IntN(len(starts))] + values[r.IntN(len(values))])
	}
	if r.IntN(2) == 0 {
		b.WriteString("\nMappings:\n  M:\n    r:\n      AMI: x\n")
	}
	return b.Bytes()
}

func mutated(r *rand.Rand, seeds [][]byte) []byte {
	lines := bytes.SplitAfter(seeds[r.IntN(len(seeds))], []byte("\n"))
	lines = slices.Clone(lines)
	other := bytes.SplitAfter(seeds[r.IntN(len(seeds))], []byte("\n"))
	const marks = " \t:#-?,[]{}\"'|>!&*%@`~\\\n\r=<+.0aMy\u0085\u2028é"
	for range 1 + r.IntN(4) {
		i := r.IntN(len(lines))
		switch r.IntN(8) {
		case 0:
			lines = slices.Delete(lines, i, i+1)
			if len(lines) == 0 {
				return nil
			}
		case 1:
			lines = slices.Insert(lines, i, lines[r.IntN(len(lines))])
		case 2:
			j := r.IntN(len(other))
			lines = slices.Insert(lines, i, other[j:min(len(other), j+1+r.IntN(3))]...)
		case 3:
			lines[i] = append(bytes.Repeat([]byte(" "), 1+r.IntN(4)), lines[i]...)
		case 4:
			lines[i] = bytes.TrimPrefix(lines[i], bytes.Repeat([]byte(" "), 1+r.IntN(4)))
		default:
			at := r.IntN(len(lines[i]) + 1)
			mark := []rune(marks)[r.IntN(len([]rune(marks)))]
			drop := min(at+r.IntN(2), len(lines[i]))
			lines[i] = slices.Concat(lines[i][:at], []byte(string(mark)), lines[i][drop:])
		}
	}
	return bytes.Join(lines, nil)
}
