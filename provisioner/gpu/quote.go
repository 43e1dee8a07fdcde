// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"net/url"
	"strings"
)

// quote makes one word of a POSIX shell command that stands for exactly word:
// blanks, quotes, newlines, $(...) and all. A NUL, which no argument can hold,
// is dropped.
func quote(word string) string {
	word = strings.ReplaceAll(word, "\x00", "")
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// commandLine quotes every word and joins them to a command.
func commandLine(words ...string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, " ")
}

// redactURL is a git URL for a message: without its password.
func redactURL(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return source
	}
	if _, has := u.User.Password(); !has {
		return source
	}
	return u.Redacted()
}
