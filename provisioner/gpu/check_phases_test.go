// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

func TestPhaseValidation(t *testing.T) {
	for _, test := range []struct {
		phases []string
		want   []string // parts of the error; none if valid
	}{
		{[]string{"detect", "compile"}, []string{`phases[1] "compile"`, "detect, driver, toolkit"}},
		{[]string{"benchmark"}, []string{"benchmark and gate must be used together"}},
		{[]string{"gate"}, []string{"benchmark and gate must be used together"}},
		{[]string{"benchmark", "gate", hclvalue.Unknown}, nil},
	} {
		var p Provisioner
		err := p.Prepare(map[string]any{"phases": test.phases})
		if (err == nil) != (len(test.want) == 0) {
			t.Errorf("%q: %v", test.phases, err)
		}
		for _, part := range test.want {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q lacks %q", test.phases, err, part)
			}
		}
	}
}
