#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints the log of ethminer.service until the plugin stops it.

# shellcheck source=internal/remote/protocol.sh
. "$WORK/protocol.sh"

exec journalctl -q -b -f -n "$1" -o cat -u ethminer.service
