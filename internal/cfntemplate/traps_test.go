// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"fmt"
	"strings"
	"testing"
)

const head = "Mappings:\n  M:\n"

// Every row is a template that an editor could handle wrong, and the expected
// result. err is part of the error, position first; out is the result of an edit.
// %A and %B stand for the ids of setA and setB.
func TestTraps(t *testing.T) {
	setA := Edit{Region: "us-east-1", Attribute: "AMI", Value: amiA}
	addB := Edit{Region: "eu-west-1", Attribute: "AMI", Value: amiB}
	rmA := Edit{Region: "us-east-1", Remove: true}
	one := func(e ...Edit) []Edit { return e }
	for _, tt := range []struct {
		why      string
		in       string
		edits    []Edit
		out, err string
	}{
		// Rejected, because they are ambiguous.
		{"duplicate row: parsers take the first or the last", head + "    us-east-1: {AMI: a}\n    us-east-1: {AMI: b}\n", one(setA), "",
			"t:4:5: M has us-east-1 a second time, after line 3"},
		{"duplicate cell", head + "    us-east-1:\n      AMI: a\n      AMI: b\n", one(setA), "", "t:5:7: M.us-east-1 has AMI a second time"},
		{"duplicate map", head + "    r: {AMI: a}\n  M:\n    r: {AMI: a}\n", one(setA), "", "t:4:3: Mappings has M a second time"},
		{"duplicate section", head + "    r: {AMI: a}\nMappings:\n  N: {}\n", one(setA), "", "t:4:1: the section Mappings occurs a second time"},
		{"duplicate row in JSON, once with an escape", `{"Mappings": {"M": {"us-east-1": {"AMI": "a"}, "us-\u0065ast-1": {}}}}`, one(setA), "",
			"t:1:48: M has us-east-1 a second time"},
		{"duplicate section in JSON", `{"Mappings": {}, "Mappings": {"M": {}}}`, one(setA), "", "t:1:18: the section Mappings occurs a second time"},
		{"two documents: only one of them is the template", head + "    us-east-1: {AMI: a}\n---\nMappings: {}\n", one(setA), "", "t:4:1: a second YAML document begins here"},
		{"name that ends in a colon: no space behind it", "Mappings: {M: {us-east-1: {AMI: x}, a:, b: {AMI: y}}}\n", one(setA), "", "t:1:37: the name \"a:\" in M ends in a colon"},
		{"merge key in a row: CloudFormation does not merge", "X: &x {AMI: a}\n" + head + "    us-east-1:\n      <<: *x\n", one(setA), "", "t:5:7: M.us-east-1 includes keys with <<"},
		{"merge key in the map", "X: &x {r: {AMI: a}}\n" + head + "    <<: *x\n", one(setA), "", "t:4:5: M includes keys with <<"},
		{"alias row: the edit would change the other row too", head + "    us-east-2: &v {AMI: a}\n    us-east-1: *v\n", one(setA), "",
			"t:4:16: row M.us-east-1 is an alias (*v)"},
		{"anchored row that is used: the same from the other side", head + "    us-east-1: &v {AMI: a}\n    us-east-2: *v\n", one(setA), "",
			"t:3:16: the value with the anchor &v is used again on line 4 (*v)"},
		{"anchored cell that is used", head + "    us-east-1: {AMI: &v a}\nO: *v\n", one(setA), "", "t:3:22: the value with the anchor &v is used again on line 4"},
		{"removing an anchor that is used", head + "    us-east-1: {AMI: &v a}\n    r: {AMI: *v}\n", one(rmA), "", "t:3:22: the value with the anchor &v"},
		{"alias cell", head + "    r: {AMI: &v a}\n    us-east-1: {AMI: *v}\n", one(setA), "", "t:4:22: M.us-east-1.AMI is an alias (*v)"},
		{"alias map", "X: &x {us-east-1: {AMI: a}}\nMappings:\n  M: *x\n", one(setA), "", "t:3:6: the map M is an alias (*x)"},
		{"the map comes from another file", "Mappings:\n  Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://b/m.yaml}}\n", one(setA), "",
			"t:2:3: Mappings has no map M here; Fn::Transform includes maps from another file"},
		{"rows come from another file", head + "    Fn::Transform: {Name: AWS::Include}\n    us-east-1: {AMI: a}\n", one(setA), "", "t:3:5: M is included from elsewhere by Fn::Transform"},
		{"a list is a legal value, and no image", head + "    us-east-1: {AMI: [a, b]}\n", one(setA), "", "t:3:22: M.us-east-1.AMI is a list; expected one value"},
		{"a map where the image is", head + "    us-east-1: {AMI: {Id: a}}\n", one(setA), "", "t:3:22: M.us-east-1.AMI is a map; expected one value"},
		{"an engine's braces without quotes are a map of a map", head + "    us-east-1: {AMI: {{ ami }}}\n", one(setA), "", "t:3:22: M.us-east-1.AMI is a map"},
		{"an engine's statements are not YAML", head + "{% for r in regions %}\n    r: {AMI: a}\n{% endfor %}\n", one(setA), "", `t:3:1: not valid YAML: found character that cannot start any token; "{% for r in regions %}" looks like Jinja`},
		{"%v at the start of a plain value is not YAML", head + "    us-east-1: {AMI: %v}\n", one(setA), "", "t:3:22: not valid YAML: found character that cannot start any token; \"%v\" looks like a placeholder of printf"},
		{"a tab as indentation is not YAML", head + "\t  us-east-1: {AMI: a}\n", one(setA), "", "t:3:1: not valid YAML"},
		{"one level only: an image where the row should be", head + "    us-east-1: ami-00000000000000001\n", one(setA), "",
			`t:3:16: row M.us-east-1 is "ami-00000000000000001"; expected a map such as {AMI: ami-...}`},
		{"a block of lines as value", head + "    us-east-1:\n      AMI: |\n        a\n", one(setA), "", "t:4:12: M.us-east-1.AMI is a block scalar"},
		{"a value that goes on in the next line", head + "    us-east-1:\n      AMI: a\n        b\n", one(setA), "", "t:4:12: M.us-east-1.AMI spans several lines"},
		{"a new row behind a value whose end is not known", head + "    us-east-1:\n      AMI: a\n      Note: |\n        x\n", one(addB), "", "t:4:7: the value of us-east-1 spans several lines"},
		{"the last row can't go: CloudFormation needs one", head + "    us-east-1: {AMI: a}\n", one(rmA), "", "t:2:3: M would have no rows left"},
		{"a row that is not there", head + "    r: {AMI: a}\n", one(rmA), "", "t:2:3: M has no row us-east-1 to remove"},
		{"a key that begins with ?: its line is not the row's alone", head + "    ? us-east-1\n    : {AMI: a}\n    ? r\n    : {AMI: a}\n", one(rmA), "", "t:3:7: row M.us-east-1 does not start its line"},
		{"a comment beside a flow row would go with it", head[:len(head)-1] + " {\n  r: {AMI: a}, # r\n  us-east-1: {AMI: a}}\n", one(rmA), "", "t:4:3: there is a comment beside row M.us-east-1"},
		{"a tag on a row may be a macro's", head + "    us-east-1: !Mine {AMI: a}\n", one(setA), "", "t:3:16: M.us-east-1 has the tag !Mine"},
		{"UTF-16", "\xFF\xFEM\x00", one(setA), "", "t:1:1: the file is UTF-16"},
		{"not UTF-8", head + "    us-east-1: {AMI: \xff}\n", one(setA), "", "not valid YAML"},
		{"empty", " \n", one(setA), "", "t: the template is empty"},
		{"no such map names those there are", "Mappings:\n  N: {r: {A: a}}\n  O: {r: {A: a}}\n", one(setA), "", "t:1:1: Mappings has no map M; it has N, O"},
		{"no section", "Resources: {}\n", one(setA), "", "t: the template has no section Mappings"},
		{"a list for a template", "- a\n", one(setA), "", "t:1:1: the template is not a map"},
		{"a list for a template, in JSON", "[1]", one(setA), "", "t:1:1: the template is not"},
		{"JSON that stops", `{"Mappings": {"M": {`, one(setA), "", "t:1:21: not valid JSON: the text ends in the middle"},
		{"JSON with a tail", `{"Mappings": {"M": {"us-east-1": {"AMI": ""}}}} x`, one(setA), "", "t:1:48: there is text after"},
		{"a name that CloudFormation refuses", head + "    r: {AMI: a}\n", one(Edit{Region: "us-east-1", Attribute: "x86_64", Value: "v"}), "", "x86_64 is not allowed"},
		{"a value with a line break", head + "    r: {AMI: a}\n", one(Edit{Region: "us-east-1", Attribute: "AMI", Value: "a\nb"}), "", "an unprintable character"},
		{"two values for one cell", head + "    r: {AMI: a}\n", one(setA, Edit{Region: "us-east-1", Attribute: "AMI", Value: amiB}), "", "two values for us-east-1.AMI"},

		// Edited correctly.
		{"an anchor that nothing uses stays", head + "    us-east-1: &v {AMI: &w a}\n", one(setA), head + "    us-east-1: &v {AMI: &w %A}\n", ""},
		{"an alias elsewhere in the map does not matter", head + "    us-east-1: {AMI: a}\n    r: &v {AMI: a}\n    s: *v\n", one(setA), head + "    us-east-1: {AMI: %A}\n    r: &v {AMI: a}\n    s: *v\n", ""},
		{"a function in a cell can only be a placeholder", head + "    us-east-1: {AMI: !Ref Later}\n", one(setA), head + "    us-east-1: {AMI: %A}\n", ""},
		{"a function for a row: one level, filled", head + "    us-east-1: !Ref Later # soon\n", one(setA), head + "    us-east-1:\n      AMI: %A # soon\n", ""},
		{"a function for the map", "Mappings:\n  M: !Ref Later\n", one(setA), "Mappings:\n  M:\n    us-east-1:\n      AMI: %A\n", ""},
		{"a function for a row, in JSON", `{"Mappings": {"M": {"us-east-1": {"Ref": "Later"}}}}`, one(setA), `{"Mappings": {"M": {"us-east-1": {"AMI": "%A"}}}}`, ""},
		{"null for the map", "Mappings:\n  M: # images\nR: {}\n", one(setA), "Mappings:\n  M: # images\n    us-east-1:\n      AMI: %A\nR: {}\n", ""},
		{"{} for the map", "Mappings:\n  M: {}\n", one(setA), "Mappings:\n  M:\n    us-east-1:\n      AMI: %A\n", ""},
		{"{} for the map, in JSON on several lines", "{\n  \"Mappings\": {\n    \"M\": {}\n  }\n}\n", one(setA),
			"{\n  \"Mappings\": {\n    \"M\": {\n      \"us-east-1\": {\n        \"AMI\": \"%A\"\n      }\n    }\n  }\n}\n", ""},
		{"null for a row, a sibling shows the style", head + "    r:\n      AMI: a\n    us-east-1: # soon\n", one(setA), head + "    r:\n      AMI: a\n    us-east-1: # soon\n      AMI: %A\n", ""},
		{"{} for a row among block rows", head + "    r:\n      AMI: a\n    us-east-1: {} # soon\n", one(setA), head + "    r:\n      AMI: a\n    us-east-1:\n      AMI: %A # soon\n", ""},
		{"null for a cell", head + "    us-east-1:\n      AMI: # soon\n      B: x\n", one(setA), head + "    us-east-1:\n      AMI: %A # soon\n      B: x\n", ""},
		{"null for a cell, without a colon", head + "    us-east-1: {AMI, B: x}\n", one(setA), head + "    us-east-1: {AMI: %A, B: x}\n", ""},
		{"\"\" keeps its quotes", head + "    us-east-1: {AMI: \"\"}\n", one(setA), head + "    us-east-1: {AMI: \"%A\"}\n", ""},
		{"a number becomes text", head + "    us-east-1: {AMI: 1}\n", one(Edit{Region: "us-east-1", Attribute: "AMI", Value: "1"}), head + "    us-east-1: {AMI: \"1\"}\n", ""},
		{"text that YAML would read as a number or a bool gets quotes", head + "    us-east-1: {AMI: a}\n", one(Edit{Region: "us-east-1", Attribute: "AMI", Value: "1e3"}, Edit{Region: "us-east-1", Attribute: "On", Value: "yes"}),
			head + "    us-east-1: {AMI: \"1e3\", \"On\": \"yes\"}\n", ""},
		{"a quote in single quotes", head + "    us-east-1: {AMI: 'it''s'}\n", one(Edit{Region: "us-east-1", Attribute: "AMI", Value: "it's on"}), head + "    us-east-1: {AMI: 'it''s on'}\n", ""},
		{"a value on two lines in quotes", head + "    us-east-1: {AMI: \"a\n      b\"}\n", one(setA), head + "    us-east-1: {AMI: \"%A\"}\n", ""},
		{"the text of the map elsewhere is only text", "A: |\n  Mappings:\n    M:\n      us-east-1: {AMI: a}\n" + head + "    us-east-1: {AMI: a}\n", one(setA),
			"A: |\n  Mappings:\n    M:\n      us-east-1: {AMI: a}\n" + head + "    us-east-1: {AMI: %A}\n", ""},
		{"libyaml ends lines at NEL, LS and PS too; columns count characters", "A: \"é\u2028b\"\n# c\u0085" + head + "    us-east-1: {É: ü, AMI: a}\n", one(setA), "A: \"é\u2028b\"\n# c\u0085" + head + "    us-east-1: {É: ü, AMI: %A}\n", ""},
		{"bare CR ends a line", strings.ReplaceAll(head+"    us-east-1:\n      AMI: a\n", "\n", "\r"), one(setA, addB),
			strings.ReplaceAll(head+"    us-east-1:\n      AMI: %A\n    eu-west-1:\n      AMI: %B\n", "\n", "\r"), ""},
		{"a byte order mark does not shift line 1", "\xEF\xBB\xBF{Mappings: {M: {us-east-1: {AMI: a}}}}", one(setA), "\xEF\xBB\xBF{Mappings: {M: {us-east-1: {AMI: %A}}}}", ""},
		{"a key that begins with ? keeps it", head + "    ? us-east-1\n    : {AMI: a}\n", one(setA), head + "    ? us-east-1\n    : {AMI: %A}\n", ""},
		{"a comment below the last row stays below", head + "    us-east-1: {AMI: a}\n    # end of rows\n# end of map\n", one(addB), head + "    us-east-1: {AMI: a}\n    eu-west-1: {AMI: %B}\n    # end of rows\n# end of map\n", ""},
		{"removal takes the row's own lines; comment lines around it stay", head + "    # one\n    us-east-1: # virginia\n      AMI: a # image\n    # two\n    r: {AMI: a}\n", one(rmA), head + "    # one\n    # two\n    r: {AMI: a}\n", ""},
		{"removal and addition at once, of all rows there were", head + "    us-east-1: {AMI: a}\n", one(rmA, addB), head + "    eu-west-1: {AMI: %B}\n", ""},
		{"removal of the last row of a file without a final line break", head + "    r: {AMI: a}\n    us-east-1: {AMI: a}", one(rmA), head + "    r: {AMI: a}", ""},
		{"removal of the first row in JSON", `{"Mappings":{"M":{"us-east-1":{"AMI":"a"} , "r":{"AMI":"a"}}}}`, one(rmA), `{"Mappings":{"M":{"r":{"AMI":"a"}}}}`, ""},
		{"a mapping of YAML's own tags", head + "    us-east-1: !!map {AMI: !!str a}\n", one(setA), head + "    us-east-1: !!map {AMI: !!str %A}\n", ""},
		{"documents marked, one of them", "---\n" + head + "    us-east-1: {AMI: a}\n...\n", one(setA), "---\n" + head + "    us-east-1: {AMI: %A}\n...\n", ""},
		{"the section's borders: a block above, comments between", "A: |+\n  x\n\n# top\n" + head + "    us-east-1: {AMI: a}\n\n# next\nB: 1\n", one(setA, addB),
			"A: |+\n  x\n\n# top\n" + head + "    us-east-1: {AMI: %A}\n    eu-west-1: {AMI: %B}\n\n# next\nB: 1\n", ""},
		{"unchanged is unchanged", head + "    us-east-1: {AMI: " + amiA + "}\n", one(setA), head + "    us-east-1: {AMI: %A}\n", ""},
	} {
		t.Run(tt.why, func(t *testing.T) {
			out, err := holdsProperty(t, []byte(tt.in), "M", tt.edits)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v\nwant  %s\nout %q", err, tt.err, out)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := strings.NewReplacer("%A", amiA, "%B", amiB).Replace(tt.out)
			if string(out) != want {
				t.Errorf("got\n%q\nwant\n%q", out, want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	rows := func(n int) string {
		var b strings.Builder
		b.WriteString(head)
		for i := range n {
			b.WriteString("    r" + strings.Repeat("x", i) + ": {AMI: a}\n")
		}
		return b.String()
	}
	names := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("n%d: a", i))
		}
		return strings.Join(all, ", ")
	}
	for _, tt := range []struct {
		why, in string
		edit    Edit
		err     string
	}{
		{"200 rows are allowed", rows(199), Edit{Region: "us-east-1", Attribute: "AMI", Value: amiA}, ""},
		{"201 are not", rows(200), Edit{Region: "us-east-1", Attribute: "AMI", Value: amiA}, "201 rows; CloudFormation accepts up to 200"},
		{"a map that is over the limit can still be edited", rows(202), Edit{Region: "r", Attribute: "AMI", Value: amiA}, ""},
		{"200 names in a row are allowed", head + "    r: {" + names(199) + "}\n", Edit{Region: "r", Attribute: "AMI", Value: amiA}, ""},
		{"201 are not", head + "    r: {" + names(200) + "}\n", Edit{Region: "r", Attribute: "AMI", Value: amiA}, "201 names; CloudFormation accepts up to 200"},
		{"a name of 256 characters", rows(1), Edit{Region: "us-east-1", Attribute: strings.Repeat("n", 256), Value: amiA}, "256 characters"},
		{"over 1 MiB", rows(1) + "# " + strings.Repeat("x", 1<<20-60), Edit{Region: "us-east-1", Attribute: "AMI", Value: amiA}, "CloudFormation accepts up to 1048576"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			_, err := holdsProperty(t, []byte(tt.in), "M", []Edit{tt.edit})
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

var testOptions = Options{Required: "required_regions", Stale: "stale_regions", New: "new_attributes", Attribute: "attribute"}

func TestFill(t *testing.T) {
	src := head + "    us-east-1: {AMI: ami-00000000000000001}\n    us-west-2: {AMI: ami-TODO}\n    cn-north-1: {AMI: ami-00000000000000001}\n    us-gov-west-1: {AMI: \"\"}\n    default: {AMI: x}\n"
	image := []Image{{"us-east-1", "AMI", amiA}}
	done := strings.Replace(src, "ami-00000000000000001", amiA, 1)
	for _, tt := range []struct {
		why      string
		images   []Image
		policy   Policy
		out, err string
	}{
		{"keep is the default", image, Policy{}, done, ""},
		{"every row, of the image's partition", image, Policy{Required: []string{EveryRow}}, "", "M would lack an image in us-west-2.AMI (is \"ami-TODO\", a placeholder); required_regions requires it"},
		{"a region without a row", image, Policy{Required: []string{"sa-east-1", "us-east-1"}}, "", "lack an image in sa-east-1.AMI (has no row);"},
		{"an old image is an image", []Image{{"us-west-2", "AMI", amiA}}, Policy{Required: []string{EveryRow}}, strings.Replace(src, "ami-TODO", amiA, 1), ""},
		{"another attribute: each row lacks it", []Image{{"us-east-1", "Arm", amiA}}, Policy{New: []string{"Arm"}, Required: []string{EveryRow}}, "", "us-west-2.Arm"},
		{"fail", image, Policy{Stale: StaleFail}, "", "rows that were not filled: us-west-2;"},
		{"remove: other partitions' rows and rows of no region stay", image, Policy{Stale: StaleRemove}, strings.Replace(done, "    us-west-2: {AMI: ami-TODO}\n", "", 1), ""},
		{"what is removed is not an image", image, Policy{Stale: StaleRemove, Required: []string{"us-west-2"}}, "", "us-west-2.AMI"},
		{"China's own build", []Image{{"cn-north-1", "AMI", amiA}}, Policy{Stale: StaleFail, Required: []string{EveryRow}}, strings.Replace(src, "cn-north-1: {AMI: ami-00000000000000001}", "cn-north-1: {AMI: "+amiA+"}", 1), ""},
		{"no image", []Image{{"us-east-1", "AMI", "ami-TODO"}}, Policy{}, "", `image "ami-TODO" in region "us-east-1"`},
	} {
		t.Run(tt.why, func(t *testing.T) {
			p, err := Parse("t", []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			tt.policy.Mapping, tt.policy.Options = "M", testOptions
			out, _, err := p.Fill(tt.images, tt.policy)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || out != nil {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || string(out) != tt.out {
				t.Errorf("%v\n%s\nwant\n%s", err, out, tt.out)
			}
		})
	}
}

// A stale row whose content is computed elsewhere is not known to be stale.
func TestUnreadableStaleRows(t *testing.T) {
	for _, row := range []string{
		"{Fn::Transform: {Name: AWS::Include}}", "!Mine {AMI: x}", "!ImportValue x", "ami-0aaaaaaaaaaaaaaa1", "[x]", `"{{resolve:ssm:/x}}"`,
		"{AMI: {Fn::Transform: {Name: AWS::Include}}}", "{AMI: !Ref X}", "{AMI: [x]}", "{AMI: ami-0aaaaaaaaaaaaaaa1, B: '{{resolve:ssm:/x}}'}",
		"ami-0aaaaaaaaaaaaaaa1,ami-0aaaaaaaaaaaaaaa2", "ami-row.yaml", "ami-0AAAAAAAAAAAAAAA1",
	} {
		t.Run(row, func(t *testing.T) {
			src := "Mappings:\n  AWSRegion2AMI:\n    us-east-1: {AMI: ami-0aaaaaaaaaaaaaaa1}\n    us-east-2: " + row + "\n"
			template, err := Parse("t", []byte(src))
			if err != nil {
				t.Fatal(err)
			}
			out, report, err := template.Fill([]Image{{Region: "us-east-1", Attribute: "AMI", ID: "ami-0bbbbbbbbbbbbbbb9"}}, Policy{Mapping: "AWSRegion2AMI", Stale: StaleRemove})
			if err != nil {
				return // refused
			}
			if !strings.Contains(string(out), "us-east-2: "+row) || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "row us-east-2 is not removed: ") {
				t.Errorf("notes %q, template:\n%s", report.Notes, out)
			}
		})
	}
}

func TestPlaceholders(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, " ": true, "ami-": true, "ami-TODO": true, "ami-xxxxxxxx": true, "ami-<region>": true, "ami-00000000": true,
		"ami-0aaaaaaaaaaaaaaa1": false, "ami-0AAAAAAAAAAAAAAA1": false, "ami-row.yaml": false, "ami-0aaaaaaaaaaaaaaa1,ami-0aaaaaaaaaaaaaaa2": false, "x": false,
	} {
		if got := IsPlaceholder(text); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}
