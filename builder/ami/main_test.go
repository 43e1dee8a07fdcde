// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"io"
	"log"
	"os"
	"testing"
)

// TestMain silences packer-plugin-amazon's log lines, many a Prepare.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}
