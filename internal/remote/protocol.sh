#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# The start of every script that answers the plugin. Lines that begin with @ are the
# protocol: see answer.go.

set -eu

# fact KEY VALUE: reports a result.
fact() { printf '@fact %s %s\n' "$1" "$(printf %s "$2" | tr '\n' ' ')"; }

# ok: reports success; without it the plugin treats the script as failed.
ok() { echo @ok; }

have() { command -v "$1" >/dev/null 2>&1; }
