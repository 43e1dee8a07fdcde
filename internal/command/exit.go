// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import "github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"

// Exit codes. A number has the same meaning in every command.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitProblem     = 3
	exitUnconfirmed = 4
	exitLocked      = rehearsal.ExitLocked
)

// exitCodes is the table of exit codes. Every command can return the first three. It
// returns the others only if its verb lists them, with what they mean there.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitOK, "success"},
	{exitError, "failure; stderr has the error"},
	{exitUsage, "invalid command line; nothing was done"},
	{exitProblem, "the check was made, and found a problem or a difference"},
	{exitUnconfirmed, "the change was not confirmed; nothing was changed"},
	{exitLocked, "the state folder is in use by another server"},
}

// codes returns the exit codes of a verb and their meanings.
func (v verb) codes() (numbers []int, meanings []string) {
	for _, e := range exitCodes {
		special, listed := v.exits[e.code]
		if !listed && e.code > exitUsage {
			continue
		}
		if !listed {
			special = e.meaning
		}
		numbers, meanings = append(numbers, e.code), append(meanings, special)
	}
	return numbers, meanings
}
