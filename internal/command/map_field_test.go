// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestMapField runs `map` on real-world templates that it once mishandled, and on similar
// ones. The templates are in testdata/map_field.txtar. A template must stay unchanged,
// unless `after` is the text that replaces `before`.
func TestMapField(t *testing.T) {
	const id = "ami-0123456789abcdef0"
	archive, err := txtar.ParseFile("testdata/map_field.txtar")
	if err != nil {
		t.Fatal(err)
	}
	templates := make(map[string][]byte)
	for _, f := range archive.Files {
		templates[f.Name] = f.Data
	}
	used := make(map[string]bool)
	for _, tt := range []struct {
		kind, file    string
		args          string // T is the template; set and diff get -verify-amis=false
		code          int
		out, err      string // parts; T is the template
		before, after string
	}{
		// Content that is not a placeholder is not deleted.
		{kind: "a map that a transform makes", file: "transform-map.yml", args: "set T us-east-1=" + id, code: 1, err: "T:3:5: AWSRegion2AMI is included from elsewhere by Fn::Transform; edit what it includes"},
		{kind: "a map that a transform makes", file: "transform-map.yml", args: "get T", code: 1, err: "T:3:5: AWSRegion2AMI is included"},
		{kind: "a map that a transform makes", file: "transform-map.yml", args: "get T us-east-1", code: 1, err: "T:3:5: AWSRegion2AMI is included"},
		{kind: "a map that a transform makes", file: "transform-map.json", args: "set T us-east-1=" + id, code: 1, err: "T:1:32: AWSRegion2AMI is included"},
		{kind: "a map that a transform makes", file: "transform-short.yml", args: "set T us-east-1=" + id, code: 1, err: "T:2:18: AWSRegion2AMI is included from elsewhere by !Transform"},
		{kind: "a map that a function makes", file: "call-map.yml", args: "set T us-east-1=" + id, code: 1, err: "T:3:5: AWSRegion2AMI has a call of Fn::FindInMap"},
		{kind: "a map that a function makes", file: "call-map-short.yml", args: "set T us-east-1=" + id, code: 1, err: "T:2:18: AWSRegion2AMI has a call of !ImportValue"},
		{kind: "a row that a transform makes", file: "transform-row.yml", args: "set T us-east-1=" + id, code: 1, err: "T:4:7: AWSRegion2AMI.us-east-1 is included from elsewhere by Fn::Transform"},
		{kind: "a row that a transform makes", file: "transform-row.yml", args: "get T us-east-1", code: 1, err: "T:4:7: AWSRegion2AMI.us-east-1 is included"},
		{kind: "a row that a transform makes", file: "transform-row.yml", args: "get T us-east-2", out: "ami-0aaaaaaaaaaaaaaa2\n"},
		{kind: "a row that a transform makes", file: "transform-row.yml", args: "set T us-east-2=" + id, before: "ami-0aaaaaaaaaaaaaaa2", after: id},
		{kind: "a row that a transform makes", file: "transform-row.yml", args: "set -required-regions rows T us-east-2=" + id, code: 1, err: "T:4:7: AWSRegion2AMI.us-east-1 is included"},
		{kind: "a transform among cells", file: "transform-beside-cell.yml", args: "set T us-east-1=" + id, code: 1, err: "T:5:7: AWSRegion2AMI.us-east-1 is included"},
		{kind: "a transform among cells", file: "transform-beside-cell.yml", args: "get T us-east-2", out: "ami-0aaaaaaaaaaaaaaa2\n"},
		{kind: "a transform among rows", file: "transform-beside-row.yml", args: "set T us-east-2=" + id, code: 1, err: "T:3:5: AWSRegion2AMI is included"},
		{kind: "a transform among rows", file: "transform-beside-row.yml", args: "get T us-east-2", out: "ami-0aaaaaaaaaaaaaaa2\n"},
		{kind: "a transform in a cell", file: "transform-cell.yml", args: "set T us-east-1=" + id, code: 1, err: "T:3:22: AWSRegion2AMI.us-east-1.AMI is included"},
		{kind: "a foreign tag in a cell", file: "transform-cell.yml", args: "set T us-east-2=" + id, code: 1, err: "T:4:22: AWSRegion2AMI.us-east-2.AMI has the tag !Latest"},
		{kind: "a foreign tag makes the map", file: "tag-map.yml", args: "set T us-east-1=" + id, code: 1, err: "T:2:18: AWSRegion2AMI has the tag !Rain::Include, which CloudFormation does not support"},
		{kind: "a foreign tag makes the map", file: "tag-list.yml", args: "set T us-east-1=" + id, code: 1, err: "T:2:18: AWSRegion2AMI has the tag !Merge"},
		{kind: "a foreign tag makes a row", file: "tag-row.yml", args: "set T us-east-1=" + id, code: 1, err: "T:3:16: AWSRegion2AMI.us-east-1 has the tag !Mine"},
		{kind: "a foreign tag makes a row", file: "tag-row.yml", args: "set T us-east-2=" + id, code: 1, err: "T:4:16: AWSRegion2AMI.us-east-2 has the tag !Mine"},
		{kind: "a foreign tag makes a row", file: "tag-row.yml", args: "set T us-west-1=" + id, code: 1, err: "T:5:16: AWSRegion2AMI.us-west-1 has the tag tag:example.com,2020:row"},

		// An attribute that no stack reads.
		{kind: "the attribute was forgotten", file: "columns.yml", args: "set T us-east-1=" + id, code: 1, err: `T:2:3: -attribute: no row of AWSRegion2AMI has "AMI", the rows have linuxamd64, linuxarm64, windows; set -attribute`},
		{kind: "a typo in the attribute", file: "columns.yml", args: "set T us-east-1.linuxamd46=" + id, code: 1, err: "did you mean linuxamd64?"},
		{kind: "a typo in the attribute", file: "columns.yml", args: "set -attribute Windows T us-east-1=" + id, code: 1, err: "did you mean windows?"},
		{kind: "a typo in the attribute", file: "columns.yml", args: "get T us-east-1.linuxamd46", code: 3, err: "T:3:5: no image: AWSRegion2AMI.us-east-1.linuxamd46 is not in the row; did you mean linuxamd64?"},
		{kind: "a second architecture begins", file: "all-images.yml", args: "set -new-attributes Arm T us-east-1.Arm=" + id, before: "pl-11111111", after: "pl-11111111, Arm: " + id},
		{kind: "a second architecture begins", file: "all-images.yml", args: "set -new-attributes Amr T us-east-1.Arm=" + id, code: 1, err: `no row of AWSRegion2AMI has "Arm"`},

		// A new row without the attributes of its siblings.
		{kind: "a new row that is half", file: "half-row.yml", args: "set -required-regions rows T ap-southeast-7=" + id, code: 1, err: "T:2:3: AWSRegion2AMI would have new rows that lack attributes of the other rows: ap-southeast-7 without PrefixList; -required-regions requires complete rows"},
		{kind: "a new row that is half", file: "half-row.yml", args: "set -required-regions ap-southeast-7 T ap-southeast-7=" + id, code: 1, err: "ap-southeast-7 without PrefixList"},
		{kind: "a new row that is half", file: "half-row.yml", args: "set -required-regions rows T eu-west-1=" + id + " eu-west-2=" + id, code: 1, err: "eu-west-1 without PrefixList; eu-west-2 without PrefixList"},
		{kind: "a new row that is half", file: "half-row.yml", args: "set T ap-southeast-7=" + id, err: "note: AWSRegion2AMI has rows that lack attributes of most other rows: ap-southeast-7 without PrefixList",
			before: "'pl-22222222'\n", after: "'pl-22222222'\n    'ap-southeast-7':\n      AMI: '" + id + "'\n"},

		// One test for an image.
		{kind: "a list is no image", file: "list.yml", args: "get T us-east-1", code: 3, err: "T:4:7: no image: AWSRegion2AMI.us-east-1.AMI is a list"},
		{kind: "a list is no image", file: "list.yml", args: "set T us-east-1=" + id, code: 1, err: "T:5:9: AWSRegion2AMI.us-east-1.AMI is a list"},
		{kind: "a list is no image", file: "list.yml", args: "set -required-regions rows T us-east-2=" + id, code: 1, err: "us-east-1.AMI (is a list), us-west-1.AMI (is a map)"},
		{kind: "a map is no image", file: "list.yml", args: "get T us-west-1", code: 3, err: "us-west-1.AMI is a map"},
		{kind: "what is an image", file: "what-is-an-image.yml", args: "get T us-east-1.HVMG2", out: "ami-0aaaaaaaaaaaaaaa1\n"},
		{kind: "what is an image", file: "what-is-an-image.yml", args: "get T cn-north-1.HVMG2", code: 3, err: `T:4:18: no image: AWSRegion2AMI.cn-north-1.HVMG2 is "NOT_SUPPORTED"`},
		{kind: "what is an image", file: "what-is-an-image.yml", args: "get T eu-west-2.HVMG2", code: 3, err: `is "N/A"`},
		{kind: "what is an image", file: "what-is-an-image.yml", args: "get T eu-west-3.HVMG2", code: 3, err: `is " ami-0aaaaaaaaaaaaaaa3", with white space`},
		{kind: "what is an image", file: "what-is-an-image.yml", args: "get T sa-east-1.HVMG2", code: 3, err: "a dynamic reference"},
		{kind: "what is an image", file: "what-is-an-image.yml", args: "get T us-east-2.HVMG2", code: 3, err: `is "ami-00000000", a placeholder`},
		{kind: "what is an image", file: "what-is-an-image.yml", args: "get T us-west-1.HVMG2", code: 3, err: `is "ami-0AAAAAAAAAAAAAAA1", not the id of an image`},
		{kind: "what is an image", file: "what-is-an-image.yml", args: "get T", code: 3, out: "us-east-1.HVMG2 ami-0aaaaaaaaaaaaaaa1\ncn-north-1.HVMG2 NOT_SUPPORTED\n", err: "eu-west-2.HVMG2 is"},
		{kind: "what is an image", file: "what-is-an-image.yml", args: "set -attribute HVMG2 -required-regions rows T us-east-1=" + id, code: 1,
			err: `eu-west-2.HVMG2 (is "N/A", not the id of an image), eu-west-3.HVMG2 (is " ami-0aaaaaaaaaaaaaaa3", with white space around the id), sa-east-1.HVMG2 (is "{{resolve`},
		{kind: "what is an image", file: "what-is-an-image.yml", args: "set -attribute HVMG2 T us-east-1=ami-00000000000000000", code: 2, err: "want REGION=AMI"},
		{kind: "get of all", file: "some-images.yml", args: "get T", code: 3, out: "us-west-2.AMI ami-0aaaaaaaaaaaaaaa1\n", err: "T:3:17: no image: AWSRegion2AMI.us-east-1.AMI is empty\n"},
		{kind: "get of all", file: "some-images.yml", args: "get T", code: 3, err: `us-east-2.AMI is "ami-TODO", a placeholder`},
		{kind: "get of all", file: "all-images.yml", args: "get T", out: "us-east-1.AMI ami-0aaaaaaaaaaaaaaa1\nus-east-1.PrefixList pl-11111111\n"},
		{kind: "get of one attribute", file: "all-images.yml", args: "get -attribute PrefixList T", code: 3, out: "us-east-1.PrefixList pl-11111111\n", err: `is "pl-11111111", not the id`},
		{kind: "get of one attribute", file: "columns.yml", args: "get -attribute windows T", out: "us-east-1.windows ami-0aaaaaaaaaaaaaaa3\nus-east-2.windows ami-0aaaaaaaaaaaaaab3\n"},
		{kind: "an option that is not used", file: "all-images.yml", args: "get -required-regions rows T", code: 2, err: "map get: -required-regions is an option of set and diff, not of get"},
		{kind: "an option that is not used", file: "all-images.yml", args: "get T us-east-1 -stale-regions fail -output x", code: 2, err: "map get: -stale-regions is an option of set and diff, not of get"},
		{kind: "images in place of rows", file: "direct.yml", args: "get T", code: 1, err: `T:3:16: row AWSRegion2AMI.us-east-1 is "ami-0aaaaaaaaaaaaaaa1"; expected a map such as {AMI: ami-...}`},
		{kind: "images in place of rows", file: "direct.yml", args: "get T us-east-2", code: 1, err: "T:4:16: row AWSRegion2AMI.us-east-2"},
		{kind: "images in place of rows", file: "direct.yml", args: "set T us-east-2=" + id, code: 1, err: "T:4:16: row AWSRegion2AMI.us-east-2"},
		{kind: "images in place of rows", file: "direct.json", args: "get T us-east-2", code: 1, err: "row AWSRegion2AMI.us-east-2 is a list"},
		{kind: "rows of other partitions", file: "partitions.yml", args: "set -required-regions rows T us-east-1=" + id, err: "note: -required-regions rows skips rows outside the partition of these images (aws): cn-north-1, us-gov-west-1, default",
			before: "ami-0aaaaaaaaaaaaaaa1", after: id},
		{kind: "rows of other partitions", file: "partitions.yml", args: "set -required-regions cn-north-1 T us-east-1=" + id, code: 1, err: "cn-north-1.AMI (is empty)"},
		{kind: "rows of other partitions", file: "partitions.yml", args: "set -required-regions rows T cn-north-1=" + id, err: "(aws-cn): us-east-1, us-gov-west-1, default",
			before: `cn-north-1: {AMI: ""}`, after: `cn-north-1: {AMI: "` + id + `"}`},
		{kind: "a region that is none", file: "all-images.yml", args: "set T us-esat-1=" + id, code: 2, err: `got "us-esat-1", which is not a region; did you mean us-east-1?`},
		{kind: "a region that is none", file: "all-images.yml", args: "set T eu-cental-1=" + id, code: 2, err: "did you mean eu-central-1?"},
		{kind: "a region that is none", file: "all-images.yml", args: "set T su-east-1=" + id, code: 2, err: "did you mean sa-east-1 or us-east-1?"},
		{kind: "a region that is none", file: "all-images.yml", args: "set T us-east-1a=" + id, code: 2, err: "did you mean us-east-1?"},
		{kind: "a region that is none", file: "all-images.yml", args: "set T US_EAST_1=" + id, code: 2, err: "did you mean us-east-1?"},
		{kind: "a region that is none", file: "all-images.yml", args: "diff -required-regions ap-norteast-1 T us-east-1=" + id, code: 2, err: "did you mean ap-northeast-1?"},
		{kind: "a region that AWS opens tomorrow", file: "all-images.yml", args: "diff T us-south-1=" + id, code: 3, out: "+    us-south-1: {AMI: " + id + "}", err: "us-south-1 without PrefixList"},

		// Messages.
		{kind: "Jinja", file: "jinja.yml.j2", args: "get T", code: 1, err: `T:1:1: not valid YAML: found character that cannot start any token; "{%- set nodes = 3 %}" looks like Jinja`},
		{kind: "Jinja", file: "jinja-comment.yml.j2", args: "get T", code: 1, err: `"{# made by hand #}" looks like Jinja`},
		{kind: "Jinja", file: "jinja.json.j2", args: "get T", code: 1, err: `T:3:5: not valid JSON: `},
		{kind: "Jinja", file: "jinja.json.j2", args: "get T", code: 1, err: `"{% for r in regions %}" looks like Jinja`},
		{kind: "a Go template", file: "go.yml", args: "get T", code: 1, err: `looks like a Go template`},
		{kind: "a Go template", file: "go.json", args: "get T us-east-1", code: 3, err: `"{{ .Image }}" looks like a Go template`},
		{kind: "ERB", file: "erb.yml", args: "get T", code: 1, err: `looks like ERB`},
		{kind: "Mustache", file: "mustache.yml", args: "get T", code: 1, err: `"{{#regions}}" looks like Mustache`},
		{kind: "envsubst", file: "dollar.yml", args: "get T", code: 1, err: `T:3:22: not valid YAML: did not find expected ',' or '}'; "${AMI_US_EAST_1}" looks like a placeholder of envsubst, Terraform, SAM or the CDK: fill it in first and edit the result, or write it in quotes`},
		{kind: "envsubst", file: "dollar.json", args: "get T", code: 1, err: `T:1:54: not valid JSON: `},
		{kind: "envsubst", file: "dollar.json", args: "get T", code: 1, err: `"${AMI_US_EAST_1}" looks like a placeholder`},
		{kind: "the CDK", file: "cdk.json", args: "get T", code: 1, err: `"${Token[TOKEN.123]}" looks like a token of the CDK`},
		{kind: "Terraform", file: "terraform.yml", args: "get T", code: 1, err: `T:3:1: not valid YAML: could not find expected directive name; "%{ for r in regions ~}" looks like a Terraform template`},
		{kind: "configure", file: "at.yml", args: "get T", code: 1, err: `T:3:22: not valid YAML: found character that cannot start any token; "@AMI@" looks like a placeholder of configure`},
		{kind: "braces that YAML takes", file: "braces.yml", args: "set T us-east-1=" + id, code: 1, err: `T:3:22: AWSRegion2AMI.us-east-1.AMI is a map; expected one value; "{{ ami }}" looks like Jinja, Mustache or a Go template`},
		{kind: "the line and column of the fault", file: "wrong-line.yml", args: "get T", code: 1, err: "T:6:4: not valid YAML: did not find expected key"},
		{kind: "the line and column of the fault", file: "no-colon.yml", args: "get T", code: 1, err: "T:5:7: not valid YAML: could not find expected ':'"},
		{kind: "the line and column of the fault", file: "open-quote.yml", args: "get T", code: 1, err: "T:3:22: not valid YAML: found unexpected end of stream"},
		{kind: "the line and column of the fault", file: "two-colons.yml", args: "get T", code: 1, err: "T:3:19: not valid YAML: mapping values are not allowed in this context"},
		{kind: "the line and column of the fault", file: "anchor.yml", args: "get T", code: 1, err: "T:3:22: not valid YAML: unknown anchor 'none' referenced"},
		{kind: "the line and column of the fault", file: "comma.json", args: "get T", code: 1, err: "T:5:7: not valid JSON: "},

		// Bytes outside the value.
		{kind: "a tag stays", file: "tags.yml", args: "set T us-east-1=" + id, before: "!!str ami-0aaaaaaaaaaaaaaa1", after: "!!str " + id},
		{kind: "an anchor stays", file: "tags.yml", args: "set T us-east-2=" + id, before: "&two ami-0aaaaaaaaaaaaaaa2", after: "&two " + id},
		{kind: "a tag stays", file: "tags.yml", args: "set T us-west-1=" + id, before: "ami-0aaaaaaaaaaaaaaa3", after: id},
		{kind: "a tag and an anchor stay", file: "tags.yml", args: "set T us-west-2=" + id, before: "ami-0aaaaaaaaaaaaaaa4", after: id},
		{kind: "a tag stays", file: "tags.yml", args: "set T eu-west-1=" + id, before: "ami-0aaaaaaaaaaaaaaa5", after: id},
		{kind: "a tag stays", file: "tags.yml", args: "set T eu-west-2=" + id, before: "!!str }", after: "!!str " + id + " }"},

		// Reading is less strict than writing.
		{kind: "a row that stands twice", file: "duplicate.json", args: "get T us-east-1", out: "ami-0aaaaaaaaaaaaaaa1\n"},
		{kind: "a row that stands twice", file: "duplicate.json", args: "get T ap-southeast-1", code: 1, err: "T:4:3: AWSRegion2AMI has ap-southeast-1 a second time, after line 3"},
		{kind: "a row that stands twice", file: "duplicate.json", args: "get T", code: 1, out: "us-east-1.AMI ami-0aaaaaaaaaaaaaaa1\n", err: "T:4:3: AWSRegion2AMI has ap-southeast-1 a second time"},
		{kind: "a row that stands twice", file: "duplicate.json", args: "set T us-east-1=" + id, code: 1, err: "T:4:3: AWSRegion2AMI has ap-southeast-1 a second time"},
		{kind: "a cell that stands twice", file: "duplicate-cell.yml", args: "get T us-east-1 us-east-2.Arm", out: "ami-0aaaaaaaaaaaaaaa1\nami-0aaaaaaaaaaaaaaa4\n"},
		{kind: "a cell that stands twice", file: "duplicate-cell.yml", args: "get T us-east-2", code: 1, err: "T:4:45: AWSRegion2AMI.us-east-2 has AMI a second time"},
		{kind: "another map that stands twice", file: "duplicate-cell.yml", args: "get -mapping Other T a.b", code: 1, err: "Mappings has Other a second time"},
		{kind: "an alias", file: "alias.yml", args: "get T us-east-2", out: "ami-0aaaaaaaaaaaaaaa1\n"},
		{kind: "an alias", file: "alias.yml", args: "set T us-east-2=" + id, code: 1, err: "T:4:16: row AWSRegion2AMI.us-east-2 is an alias"},

		// get of a map in which no row has an image.
		{kind: "no image at all", file: "no-image.yml", args: "get T", code: 3, out: "us-east-1.HVM64 \nus-east-2.HVM64 ami-TODO\n", err: "T:3:17: no image: AWSRegion2AMI.us-east-1.HVM64 is empty\n"},
		{kind: "no image at all", file: "no-image-list.yml", args: "get T", code: 3, out: "us-east-1.HVM64 \n", err: "HVM64 is a list"},
		{kind: "no image at all", file: "no-image-reference.yml", args: "get T", code: 3, out: "{{resolve", err: "a dynamic reference instead of a fixed image"},
		{kind: "white space", file: "space.yml", args: "get T", code: 3, out: "us-east-1.AMI", err: `is "ami-0aaaaaaaaaaaaaaa1 ", with white space around the id`},

		// The siblings of a new row are the rows of its partition, as they were.
		{kind: "siblings", file: "siblings.yml", args: "set -required-regions rows T us-west-2=" + id, code: 1, err: "us-west-2 without PrefixList"},
		{kind: "siblings", file: "siblings.yml", args: "set -required-regions us-west-2 -stale-regions remove T us-west-2=" + id, code: 1, err: "us-west-2 without PrefixList"},
		{kind: "siblings", file: "siblings-foreign.yml", args: "set -required-regions us-west-2 T us-west-2=" + id, before: "aaa4, Partner: x}\n", after: "aaa4, Partner: x}\n    us-west-2: {AMI: " + id + "}\n"},
		{kind: "the first row of its partition", file: "siblings.yml", args: "set T cn-north-1=" + id, before: "aaa4}\n", after: "aaa4}\n    cn-north-1: {AMI: " + id + "}\n"},

		// A removed row is named, whatever it contained.
		{kind: "removed rows", file: "removed.yml", args: "set -stale-regions remove T us-east-1=" + id, out: "us-east-2.AMI: (none) -> (removed)\nus-west-1: (no cells) -> (removed)\nus-west-2.AMI: (none) -> (removed)\nus-west-2.Arm: ami-TODO -> (removed)\n",
			before: "ami-0aaaaaaaaaaaaaaa1}\n    us-east-2: {AMI: \"\"}\n    us-west-1: {}\n    us-west-2: {AMI: ~, Arm: ami-TODO}\n", after: id + "}\n"},

		// Unquoted text that another program will replace.
		{kind: "unquoted", file: "unquoted.yml", args: "set T us-east-1=" + id, code: 1, err: `T:4:12: AWSRegion2AMI.us-east-1.AMI is "<%= ami %>", which looks like ERB (Ruby): run the engine first`},
		{kind: "unquoted", file: "unquoted.yml", args: "set T us-east-2=" + id, code: 1, err: `"${AMI}", which looks like a placeholder of envsubst`},
		{kind: "unquoted", file: "unquoted.yml", args: "set T us-west-1=" + id, code: 1, err: `"$(AMI)", which looks like a placeholder of make`},
		{kind: "unquoted", file: "unquoted.yml", args: "set T us-west-2=" + id, code: 1, err: `"${{ env.AMI }}", which looks like an expression of GitHub Actions`},
		{kind: "unquoted", file: "unquoted.yml", args: "set T eu-west-1=" + id, code: 1, err: `"$AMI", which looks like a placeholder of envsubst`},
		{kind: "unquoted", file: "unquoted.yml", args: "set T eu-west-2=" + id, code: 1, err: `"((ami))", which looks like a variable of Concourse`},
		{kind: "unquoted", file: "unquoted.yml", args: "set T eu-west-3=" + id, code: 1, err: `T:16:12: AWSRegion2AMI.eu-west-3.AMI is "#@ data.values.ami", which looks like ytt`},
		{kind: "unquoted", file: "unquoted.yml", args: "set T eu-central-1=" + id, code: 1, err: `"${SUFFIX}", which looks like a placeholder of envsubst`},
		{kind: "unquoted", file: "unquoted.yml", args: "set T sa-east-1=" + id, code: 1, err: `T:19:16: row AWSRegion2AMI.sa-east-1 is "#@ rows()", which looks like ytt`},
		{kind: "a mark to fill in", file: "unquoted.yml", args: "set T ca-central-1=" + id, before: "<your image>", after: id},
		{kind: "a mark to fill in", file: "unquoted.yml", args: "set T eu-north-1=" + id, before: `"${AMI}"`, after: `"` + id + `"`},
		{kind: "unquoted", file: "unquoted-json.json", args: "set T us-east-1=" + id, code: 1, err: `T:1:54: AWSRegion2AMI.us-east-1.AMI is "<%= ami %>"`},
		{kind: "JSON stays JSON", file: "unquoted-json.json", args: "set T us-east-2=" + id, before: "__AMI__", after: `"` + id + `"`},
		{kind: "GitHub Actions", file: "actions.json", args: "get T", code: 1, err: `"${{ env.AMI }}" looks like an expression of GitHub Actions`},
		{kind: "an engine makes the rows", file: "engine-key.yml", args: "set T us-east-1=" + id, code: 1, err: `T:3:5: a key in AWSRegion2AMI is not text; write the name itself; "{{ region }}" looks like Jinja`},
		{kind: "no engine", file: "reference-row.yml", args: "set T us-east-1=" + id, code: 1, err: `T:3:16: row AWSRegion2AMI.us-east-1 is "{{resolve:ssm:/x}}", a dynamic reference; expected a map such as {AMI: ami-...}: write the row out` + "\n"},
		{kind: "no engine", file: "list-row.json", args: "set T us-east-1=" + id, code: 1, err: "row AWSRegion2AMI.us-east-1 is a list; expected a map such as {AMI: ami-...}: write the row out\n"},

		// The place and the name of the fault.
		{kind: "a fault at the end", file: "end.yml", args: "get T", code: 1, err: "T:4:1: not valid YAML: did not find expected ',' or '}'"},
		{kind: "JSON with a comment", file: "comment.json", args: "get T", code: 1, err: "T:1:1: not valid JSON: JSON has no comments; remove this one"},
		{kind: "nearly Mappings", file: "quote.json", args: "get T", code: 1, err: `T:1:2: the template has no section Mappings, but "Mappings\""; correct the name`},
		{kind: "nearly Mappings", file: "case.json", args: "get T", code: 1, err: `T:1:2: the template has no section Mappings, but "mappings"; correct the name`},
		{kind: "a transform makes all sections", file: "root-transform.yml", args: "get T", code: 1, err: "T:1:1: the template has no section Mappings here; Fn::Transform includes sections from another file"},
		{kind: "no maps", file: "empty-mappings.yml", args: "get T", code: 1, err: "T:1:1: Mappings is empty; add the map AWSRegion2AMI to it"},
		{kind: "no maps", file: "null-mappings.yml", args: "get T", code: 1, err: "T:1:1: Mappings is empty; add the map AWSRegion2AMI to it"},
		{kind: "merge keys", file: "merge.yml", args: "get T us-east-1", code: 1, err: "T:4:17: AWSRegion2AMI.us-east-1 includes keys with <<"},
		{kind: "merge keys", file: "merge.yml", args: "get T us-east-2", out: "ami-0aaaaaaaaaaaaaaa2\n"},
		{kind: "merge keys", file: "merge.yml", args: "get T", code: 1, out: "us-east-2.AMI ami-0aaaaaaaaaaaaaaa2\n", err: "T:4:17: AWSRegion2AMI.us-east-1 includes keys with <<"},
		{kind: "merge keys", file: "merge.yml", args: "set T us-east-2=" + id, code: 1, err: "includes keys with <<"},
		{kind: "merge keys", file: "merge-rows.yml", args: "get T us-east-1", code: 1, err: "T:4:5: AWSRegion2AMI includes keys with <<"},
		{kind: "merge keys", file: "merge-maps.yml", args: "get T us-east-1", code: 1, err: "T:3:3: Mappings has no map AWSRegion2AMI here, but includes maps with <<"},
		{kind: "an alias of an id", file: "alias-text.yml", args: "get T us-east-1", out: "ami-0aaaaaaaaaaaaaaa1\n"},
		{kind: "an alias of an id", file: "alias-text.yml", args: "set T us-east-1=" + id, code: 1, err: "T:4:22: AWSRegion2AMI.us-east-1.AMI is an alias (*i)"},
		{kind: "a tag without content", file: "map-tag.yml", args: "set T us-east-1=" + id, code: 1, err: "T:3:16: us-east-1 has the tag !!map but no content; remove the tag"},
		{kind: "a space is missing", file: "glued.yml", args: "set T us-east-1=" + id, code: 1, err: `T:3:5: the name "us-east-1:{AMI" in AWSRegion2AMI contains a value, because no space follows its colon`},

		// The command line.
		{kind: "a command line", file: "all-images.yml", args: "set T us-east-1=" + id + " us-east-1=ami-0aaaaaaaaaaaaaaa2", code: 2, err: "two images for us-east-1.AMI: "},
		{kind: "a command line", file: "all-images.yml", args: "get T us-east-1=" + id, code: 2, err: "want REGION such as us-east-1"},
		{kind: "a command line", file: "all-images.yml", args: "get T us-east-1.x86_64", code: 2, err: `"us-east-1.x86_64": attribute "x86_64": CloudFormation accepts only letters and digits`},
		{kind: "a command line", file: "all-images.yml", args: "get -attribute x86_64 T", code: 2, err: `map get: -attribute "x86_64": CloudFormation accepts only letters and digits`},
		{kind: "a command line", file: "all-images.yml", args: "set -attribute x86_64 -manifest m T", code: 2, err: `map set: -attribute "x86_64"`},
		{kind: "a command line", file: "all-images.yml", args: "get -mapping= T", code: 2, err: `map get: -mapping: map name ""`},
		{kind: "an unknown region", file: "all-images.yml", args: "diff T us-east-11=" + id, code: 3, out: "+    us-east-11:", err: "note: not in the plugin's list of regions, so check the spelling: us-east-11\n"},
	} {
		used[tt.file] = true
		t.Run(tt.kind+"/"+tt.file+"/"+tt.args, func(t *testing.T) {
			src, ok := templates[tt.file]
			if !ok {
				t.Fatalf("got no template %s", tt.file)
			}
			path := filepath.Join(t.TempDir(), "T")
			if err := os.WriteFile(path, src, 0o600); err != nil {
				t.Fatal(err)
			}
			args := strings.Fields(tt.args)
			if args[0] != "get" {
				args = append(args, "-verify-amis=false")
			}
			for i, a := range args {
				if a == "T" {
					args[i] = path
				}
			}
			var out, errs bytes.Buffer
			code := run(t, "map", args, streams{out: &out, err: &errs})
			said := strings.ReplaceAll(errs.String(), path, "T")
			if code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(said, tt.err) {
				t.Errorf("exit %d, want %d\nstdout %s\nwant   %s\nstderr %s\nwant   %s", code, tt.code, &out, tt.out, said, tt.err)
			}
			if args[0] == "get" && code != exitOK && out.Len() > 0 && tt.out == "" && len(args) > 2 {
				t.Errorf("got stdout %s, want none", &out)
			}
			want := strings.Replace(string(src), tt.before, tt.after, 1)
			if tt.before != "" && want == string(src) {
				t.Fatalf("%q is not in the template", tt.before)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("got template\n%s\nwant\n%s", got, want)
			}
		})
	}
	for name := range templates {
		if !used[name] {
			t.Errorf("%s has no row", name)
		}
	}
}
