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

// documentedKeys returns the keys in the first column of a table in
// docs/builders/ami.mdx.
func documentedKeys(t *testing.T, before string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/builders/ami.mdx")
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

// TestReportIsDocumented compares the schema of ethminer.build with
// docs/builders/ami.mdx.
func TestReportIsDocumented(t *testing.T) {
	for _, test := range []struct {
		of     reflect.Type
		before string
	}{
		{reflect.TypeFor[Report](), "Later versions only add fields to `ethminer.build`"},
		{reflect.TypeFor[Phase](), "Fields of each element of `phases`"},
	} {
		if wants, says := jsonKeys(test.of), documentedKeys(t, test.before); !slices.Equal(wants, says) {
			t.Errorf("%s: got keys %q in the page, want the report's %q", test.of, says, wants)
		}
	}
}
