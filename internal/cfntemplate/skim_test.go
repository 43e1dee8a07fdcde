// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import "testing"

// TestSkimCorpus: most YAML templates can be read the short way, and all that
// are read so are read as by the full parser.
func TestSkimCorpus(t *testing.T) {
	short, all := 0, 0
	for name, src := range corpus(t) {
		p, err := Parse(name, src)
		if err != nil || p.yaml == nil {
			continue
		}
		all++
		if skimsRight(t, src) {
			short++
		}
	}
	if short < all*3/4 {
		t.Errorf("%d of %d templates are read the short way, want three in four or more", short, all)
	}
}
