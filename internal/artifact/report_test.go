// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package artifact

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// jsonKeys returns the JSON keys of a struct.
func jsonKeys(of reflect.Type) []string {
	var keys []string
	for i := range of.NumField() {
		if key, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ","); key != "" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

var quotedKey = regexp.MustCompile("`([a-z_]+)`")

// documentedKeys returns the keys in the first column of a table of a page in docs.
func documentedKeys(t *testing.T, file, before string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(page), before)
	if !found {
		t.Fatalf("the page has no %q", before)
	}
	var keys []string
	inTable := false
	for _, line := range strings.Split(after, "\n") {
		if !strings.HasPrefix(line, "|") {
			if inTable {
				break
			}
			continue
		}
		inTable = true
		for _, found := range quotedKey.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			keys = append(keys, found[1])
		}
	}
	slices.Sort(keys)
	return keys
}

// TestReportIsDocumented compares the schemas of ethminer.build and ethminer.template
// with the documentation.
func TestReportIsDocumented(t *testing.T) {
	for _, test := range []struct {
		of           reflect.Type
		page, before string
	}{
		{reflect.TypeFor[Report](), "builders/ami.mdx", "Later versions only add fields to `ethminer.build`"},
		{reflect.TypeFor[Phase](), "builders/ami.mdx", "Fields of each element of `phases`"},
		{reflect.TypeFor[Template](), "post-processors/cfn.mdx", "`ethminer.template` is added"},
	} {
		if wants, says := jsonKeys(test.of), documentedKeys(t, test.page, test.before); !slices.Equal(wants, says) {
			t.Errorf("%s: got keys %q in the page, want the report's %q", test.of, says, wants)
		}
	}
}
