#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Functions that the scripts of a launch test share. Lines that begin with @ are the
# protocol with the plugin: see internal/remote/answer.go.

set -eu

# fact KEY VALUE: reports a result.
fact() { printf '@fact %s %s\n' "$1" "$(printf %s "$2" | tr '\n' ' ')"; }

# fail REASON: reports a failure and exits.
fail() {
	printf '@fail %s\n' "$(printf %s "$1" | tr '\n' ' ')"
	exit 1
}

# ok: reports success; without it the plugin treats the script as failed.
ok() { echo @ok; }

have() { command -v "$1" >/dev/null 2>&1; }
