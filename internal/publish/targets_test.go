// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"slices"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

func TestTargets(t *testing.T) {
	const sum = "3046bc1f8f9d0002af2f1e7344231f763065727c2fb670d354107979df71468c"
	places := []Place{{Region: "us-east-1", URL: "https://a/1"}, {Region: "us-west-1", URL: "https://b/1"}}
	parameters := []Parameter{{Region: "us-east-1", Name: "/mining"}, {Region: "us-west-1", Name: "/mining"}}
	set := &stackset.Config{Name: "miners", Region: "us-east-1"}
	for _, test := range []struct {
		plan  Plan
		brief string
		kinds []string
	}{
		{Plan{Spec: Spec{Name: "t", Version: "1.0", StackSet: set}, SHA256: sum, Places: places, Parameters: parameters},
			"t, version 1.0: S3 in 2 regions, 2 parameters, stack set miners", []string{"s3", "s3", "parameter", "parameter", "stack-set"}},
		{Plan{Spec: Spec{Name: "t", Version: sum}, SHA256: sum, Places: places[:1], Parameters: parameters[:1]},
			"t, version 3046bc1f8f9d: https://a/1, parameter /mining", []string{"s3", "parameter"}},
	} {
		var kinds []string
		for _, target := range test.plan.Targets() {
			kinds = append(kinds, target.Kind)
		}
		if got := test.plan.Brief(); got != test.brief || !slices.Equal(kinds, test.kinds) {
			t.Errorf("got %q and %q, want %q and %q", got, kinds, test.brief, test.kinds)
		}
	}
}
