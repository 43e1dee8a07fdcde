#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# What every script shares. Lines that begin with @ speak to the plugin:
# see answer in machine.go.

set -eu

# fact KEY VALUE: something found out.
fact() { printf '@fact %s %s\n' "$1" "$(printf %s "$2" | tr '\n' ' ')"; }

# fail REASON [REMEDY]: gives up.
fail() {
	printf '@fail %s\n' "$(printf %s "$1" | tr '\n' ' ')"
	[ $# -lt 2 ] || printf '@remedy %s\n' "$2"
	exit 1
}

# ok: the script's last word; without it the plugin takes it as failed.
ok() { echo @ok; }

have() { command -v "$1" >/dev/null 2>&1; }
