#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Copies $WORK/benchmark.json to /etc/ethminer atomically.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

to=$ETHMINER_ROOT/etc/ethminer/benchmark.json
{ cp "$WORK/benchmark.json" "$to.new" && chmod 644 "$to.new" && mv -f "$to.new" "$to"; } ||
	fail "cannot write $to"
ok
