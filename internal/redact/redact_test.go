// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package redact

import (
	"bytes"
	"log"
	"testing"
)

func TestWriter(t *testing.T) {
	Add("", "x", "secret", "secret-of-the-pool", "-----BEGIN\nline\n-----END")
	var out bytes.Buffer
	l := log.New(Writer{&out}, "", 0)
	l.Printf("x=%s %s\n%s", "secret-of-the-pool", "secret", "-----BEGIN\nline\n-----END")
	if want := "x=<sensitive> <sensitive>\n<sensitive>\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
