#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Reboots, a moment after the connection has got the answer.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

# /run is empty after a boot: its mark tells the old system from the new one.
echo >"$ETHMINER_ROOT/run/ethminer-gpu-before-reboot" || fail "cannot write to /run"
(
	sleep 1
	systemctl reboot || reboot || shutdown -r now
) </dev/null >/dev/null 2>&1 &
ok
