// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package redact keeps secrets out of the plugin's log, which PACKER_LOG prints.
// Packer itself redacts only values that the template marks as sensitive.
package redact

import (
	"io"
	"slices"
	"strings"
	"sync"
)

// Shown replaces a secret.
const Shown = "<sensitive>"

// shortest is the length of the shortest secret, in bytes. Shorter ones, such as the
// password "x" of many pools, would make a log unreadable and are easily guessed.
const shortest = 4

var (
	mu      sync.Mutex
	secrets []string // longest first, as a secret may contain another
)

// Add redacts texts from now on.
func Add(texts ...string) {
	mu.Lock()
	defer mu.Unlock()
	for _, text := range texts {
		if len(text) >= shortest && !slices.Contains(secrets, text) {
			secrets = append(secrets, text)
		}
	}
	slices.SortStableFunc(secrets, func(a, b string) int { return len(b) - len(a) })
}

// String returns text without the secrets.
func String(text string) string {
	mu.Lock()
	defer mu.Unlock()
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, Shown)
	}
	return text
}

// Writer is an output of package log, which writes each entry in one call.
type Writer struct{ To io.Writer }

// Write writes an entry without the secrets.
func (w Writer) Write(entry []byte) (int, error) {
	if _, err := io.WriteString(w.To, String(string(entry))); err != nil {
		return 0, err
	}
	return len(entry), nil
}
