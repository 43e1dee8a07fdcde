// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package shellquote quotes the words of commands for a POSIX shell.
package shellquote

import (
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// plain matches words without a meaning to the shell. A word with "=" must not be the
// first of a command.
var plain = lazyregexp.New(`^[A-Za-z0-9_%+,./:@=-]+$`)

// Word quotes a word unless it needs no quotes, for commands that are printed.
func Word(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return Quote(word)
}

// Words quotes the words of a command as Word and joins them.
func Words(words ...string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = Word(word)
	}
	return strings.Join(quoted, " ")
}

// Quote quotes word as a single literal word. NULs, which no argument can contain,
// are dropped.
func Quote(word string) string {
	word = strings.ReplaceAll(word, "\x00", "")
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
