// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import "testing"

const (
	amiA = "ami-0aaaaaaaaaaaaaaaa"
	amiB = "ami-0bbbbbbbbbbbbbbbb"
	amiN = "ami-0123456789abcdef0"
)

// applyCases set us-east-1.AMI, which exists, and eu-west-1.AMI, mostly a new row,
// in the map M.
var applyCases = []struct{ why, in, out string }{
	{"block rows",
		"Mappings:\n  M:\n    us-east-1:\n      AMI: ami-1 # kept\n    # below\nResources: {}\n",
		"Mappings:\n  M:\n    us-east-1:\n      AMI: " + amiA + " # kept\n    eu-west-1:\n      AMI: " + amiB + "\n    # below\nResources: {}\n"},
	{"flow rows, aligned colons",
		"Mappings:\n  M:\n    us-east-1     : { AMI: ami-1 }",
		"Mappings:\n  M:\n    us-east-1     : { AMI: " + amiA + " }\n    eu-west-1     : { AMI: " + amiB + " }"},
	{"JSON, several lines",
		"{\n  \"Mappings\": {\n    \"M\": {\n      \"us-east-1\": {\n        \"AMI\": \"\"\n      }\n    }\n  }\n}\n",
		"{\n  \"Mappings\": {\n    \"M\": {\n      \"us-east-1\": {\n        \"AMI\": \"" + amiA + "\"\n      },\n      \"eu-west-1\": {\n        \"AMI\": \"" + amiB + "\"\n      }\n    }\n  }\n}\n"},
	{"JSON, minified",
		`{"Mappings":{"M":{"us-east-1":{"AMI":"x"}}}}`,
		`{"Mappings":{"M":{"us-east-1":{"AMI":"` + amiA + `"},"eu-west-1":{"AMI":"` + amiB + `"}}}}`},
}

func TestApply(t *testing.T) {
	set := []Edit{{Region: "us-east-1", Attribute: "AMI", Value: amiA}, {Region: "eu-west-1", Attribute: "AMI", Value: amiB}}
	for _, tt := range applyCases {
		t.Run(tt.why, func(t *testing.T) {
			p, err := Parse("t", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			out, _, err := p.Apply("M", set...)
			if err != nil {
				t.Fatal(err)
			}
			if string(out) != tt.out {
				t.Errorf("got\n%s\nwant\n%s", out, tt.out)
			}
		})
	}
}
