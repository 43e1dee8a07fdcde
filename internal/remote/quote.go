// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package remote

import (
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
)

// commandLine quotes the words and joins them into a command.
func commandLine(words ...string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = shellquote.Quote(word)
	}
	return strings.Join(quoted, " ")
}
