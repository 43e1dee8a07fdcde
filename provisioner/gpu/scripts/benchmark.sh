#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# benchmark.sh ARGS...
# Becomes the miner, so that a stop reaches it and nothing is left of the shell.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

exec "$ETHMINER_ROOT/usr/local/bin/ethminer" "$@" </dev/null
