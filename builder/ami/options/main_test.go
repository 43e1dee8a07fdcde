// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"io"
	"log"
	"os"
	"testing"
)

// TestMain discards packer-plugin-amazon's log: many lines for each Prepare.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}
