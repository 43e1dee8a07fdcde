#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# benchmark.sh ARGS...
# Runs the miner, with the pool that $WORK/pool names, if there is that file: it
# may have a password, which is no part of a command that is logged. The miner ends when the plugin stops the process group. Coming to
# the end here means that it ended by itself.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

if [ -f "$WORK/pool" ]; then
	pool=$(cat "$WORK/pool")
	rm -f "$WORK/pool"
	set -- "$@" -P "$pool"
fi

# Devices are numbered by the PCI bus then, as nvidia-smi numbers them.
export CUDA_DEVICE_ORDER=PCI_BUS_ID

status=0
"$ETHMINER_ROOT/usr/local/bin/ethminer" "$@" || status=$?
fail "exit code $status"
