// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"os"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// newWorldUnder is a world whose caller may do what the policy allows.
func newWorldUnder(t *testing.T, d *policy.Document) *world {
	t.Helper()
	w := newWorld(t)
	w.aws = rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", Policy: d})
	return w
}

func TestSeedPolicy(t *testing.T) {
	text, err := os.ReadFile("testdata/seed-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	seed, err := policy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldUnder(t, seed)
	artifact, err := w.build(t, t.Context(), nil)
	t.Log(w.ui.String())
	t.Log(w.aws.Calls())
	if err != nil {
		t.Fatal(err)
	}
	_ = artifact
}
