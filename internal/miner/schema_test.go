// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestReportIsDocumented: docs/provisioners/gpu.mdx documents all fields of
// benchmark.json.
func TestReportIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/provisioners/gpu.mdx")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## The report\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, of := range []reflect.Type{reflect.TypeFor[Report](), reflect.TypeFor[DeviceReport](), reflect.TypeFor[Series](), reflect.TypeFor[RatePoint](), reflect.TypeFor[SensorPoint]()} {
		for i := range of.NumField() {
			key, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(section, "`"+key+"`") {
				t.Errorf("%s: the page does not document %q", of, key)
			}
		}
	}
}
