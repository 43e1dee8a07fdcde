// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"fmt"
	"strings"
)

// Region is the name of row i.
func Region(i int) string { return fmt.Sprintf("eu-row%c%c-%d", 'a'+i/26%26, 'a'+i%26, i) }

// Old is the image that row i has before the edit.
func Old(i int) string { return fmt.Sprintf("ami-%017x", i+1) }

// YAML writes a template of at least size bytes whose map has rows rows: half
// of the rest stands before the map and half behind it, in the styles that
// templates have: comments, tags, blocks of lines, flow lists, quotes.
func YAML(size, rows int) []byte {
	var m strings.Builder
	m.WriteString("Mappings:\n  # filled by packer build\n  AWSRegion2AMI:\n")
	for i := range rows {
		fmt.Fprintf(&m, "    %s:\n      AMI: %s # row %d\n", Region(i), Old(i), i)
	}
	var before, behind strings.Builder
	before.WriteString("AWSTemplateFormatVersion: '2010-09-09'\nMetadata:\n")
	for i := 0; before.Len() < (size-m.Len())/2; i++ {
		fmt.Fprintf(&before, "  Note%d:   # of shelf %d\n    Text: \"a note\"\n    Tags: [one, 'two', \"three\"]\n    Size: { W: %d,  H: 2 }\n\n", i, i%9, i)
	}
	behind.WriteString("Resources:\n")
	for i := 0; i == 0 || behind.Len() < (size-m.Len())/2; i++ {
		fmt.Fprintf(&behind, "  Rig%d:\n    Type: AWS::EC2::Instance\n    Properties:\n"+
			"      ImageId: !FindInMap [AWSRegion2AMI, !Ref \"AWS::Region\", AMI]\n"+
			"      InstanceType:   g4dn.xlarge   # one GPU\n"+
			"      UserData: !Base64\n        Fn::Sub: |\n          #!/bin/sh\n          echo \"rig %d of ${AWS::Region}\"   \n          exec /usr/local/bin/ethminer --farm-recheck 200 -P stratum1+tcp://wallet@pool.example.org:4444\n\n", i, i)
	}
	return []byte(before.String() + m.String() + "\n" + behind.String())
}

// JSON is the same in JSON.
func JSON(size, rows int) []byte {
	var m, before, behind strings.Builder
	m.WriteString("  \"Mappings\" : {\n    \"AWSRegion2AMI\" : {\n")
	for i := range rows {
		comma := ","
		if i == rows-1 {
			comma = ""
		}
		fmt.Fprintf(&m, "      %q : { \"AMI\" : %q }%s\n", Region(i), Old(i), comma)
	}
	m.WriteString("    }\n  },\n")
	before.WriteString("{\n  \"AWSTemplateFormatVersion\" : \"2010-09-09\",\n  \"Metadata\" : {\n")
	for i := 0; before.Len() < (size-m.Len())/2; i++ {
		fmt.Fprintf(&before, "    \"Note%d\" : { \"Text\" : \"a note\", \"Tags\" : [\"one\", \"two\"],  \"Size\" : { \"W\" : %d, \"H\" : 2 } },\n", i, i)
	}
	before.WriteString("    \"Last\" : {}\n  },\n")
	behind.WriteString("  \"Resources\" : {\n")
	for i := 0; i == 0 || behind.Len() < (size-m.Len())/2; i++ {
		fmt.Fprintf(&behind, "    \"Rig%d\" : {\n      \"Type\" : \"AWS::EC2::Instance\",\n      \"Properties\" : {\n"+
			"        \"ImageId\" : { \"Fn::FindInMap\" : [ \"AWSRegion2AMI\", { \"Ref\" : \"AWS::Region\" }, \"AMI\" ] },\n"+
			"        \"UserData\" : { \"Fn::Base64\" : \"#!/bin/sh\\nexec /usr/local/bin/ethminer\\n\" }\n      }\n    },\n", i)
	}
	behind.WriteString("    \"Topic\" : { \"Type\" : \"AWS::SNS::Topic\" }\n  }\n}\n")
	return []byte(before.String() + m.String() + behind.String())
}

// OneLine is a map of rows x 149 images on one line, and nothing else, as JSON
// or as YAML in flow style.
func OneLine(rows int, yaml bool) []byte {
	var b strings.Builder
	quote := "\""
	if yaml {
		quote = ""
	}
	for r := range rows {
		if r > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s%s%s: {", quote, Region(r), quote)
		for c := range 149 {
			if c > 0 {
				b.WriteString(", ")
			}
			name := "AMI"
			if c > 0 {
				name = fmt.Sprintf("A%d", c)
			}
			fmt.Fprintf(&b, "%s%s%s: %s%s%s", quote, name, quote, quote, Old(149*r+c), quote)
		}
		b.WriteString("}")
	}
	if yaml {
		return []byte("Mappings: {AWSRegion2AMI: {" + b.String() + "}}\n")
	}
	return []byte("{\"Mappings\": {\"AWSRegion2AMI\": {" + b.String() + "}}}")
}
