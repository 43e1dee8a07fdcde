// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import "github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"

// command matches the start of an AWS CLI command: program, service and action.
var command = lazyregexp.New(`\baws ((?:[a-z][a-z0-9-]+) [a-z]+-[a-z-]+)`)

// PointCommands adds an endpoint to all AWS CLI commands in a text, so that the
// commands of a rehearsal never reach a real account. Without an endpoint it
// returns the text unchanged.
func PointCommands(text, endpoint string) string {
	if endpoint == "" {
		return text
	}
	return command.ReplaceAllString(text, "aws --endpoint-url "+endpoint+" ${1}")
}
