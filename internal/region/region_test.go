// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package region

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for name, want := range map[string]string{
		"eu-cental-1":     `did you mean eu-central-1?`,
		"us-esat-1":       `did you mean us-east-1?`,
		"us-est-1":        `did you mean us-east-1 or us-west-1?`,
		"ap-souteast-2":   `did you mean ap-southeast-2?`,
		"ap-northest-1":   `did you mean ap-northeast-1?`,
		"us-gov-wset-1":   `did you mean us-gov-west-1?`,
		"eu_west_1":       `did you mean eu-west-1?`,
		"EU-WEST-1":       `did you mean eu-west-1?`,
		"useast1":         `did you mean us-east-1?`,
		"us-east-1a":      `did you mean us-east-1?`, // a zone
		"":                "want a region such as",
		"frankfurt":       "want a region such as",
		"eu-central":      `did you mean eu-central-1 or eu-central-2?`,
		"eu-central-1 ":   `did you mean eu-central-1?`,
		"mars-norht-12":   "is not a region",
		"<unknown>":       "", // Packer's, at validate time
		"us-east-1":       "",
		"eusc-de-east-1":  "",
		"us-isob-west-1":  "",
		"us-east-9":       "", // can become a region
		"eu-northwest-1":  "",
		"ca-east-1":       "",
		"zz-central-1":    "",
		"eusc-fr-south-2": "",
		"us-isoz-west-1":  "",
	} {
		err := Check("region", name)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", name, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got %v, want %s", name, err, want)
		}
	}
}

func TestKnown(t *testing.T) {
	for _, name := range known {
		if Wrong(name) != "" {
			t.Errorf("%s: got a known region rejected", name)
		}
	}
	if got := DidYouMean("us-east-9"); got != `; did you mean us-east-1 or us-east-2?` {
		t.Errorf("got %s", got)
	}
	if got := DidYouMean("zz-middle-99"); got != "" {
		t.Errorf("got %s", got)
	}
}
