#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Reports why the miner cannot run from its unit, or nothing if it can.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

if [ "$(cat /proc/1/comm 2>/dev/null)" != systemd ] || [ -n "$ETHMINER_ROOT" ]; then
	fact without "the instance does not run systemd"
elif [ "$(id -u)" != 0 ]; then
	fact without "starting a unit needs root"
elif [ ! -f /etc/systemd/system/ethminer.service ]; then
	fact without "ethminer.service is not installed"
fi
ok
