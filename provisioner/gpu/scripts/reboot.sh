#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Reboots after one second, so that the response reaches the plugin first.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

# /run is empty after a boot, so the marker's absence shows that it rebooted.
echo >"$ETHMINER_ROOT/run/ethminer-gpu-before-reboot" || fail "cannot write to /run"
(
	sleep 1
	systemctl reboot || reboot || shutdown -r now
) </dev/null >/dev/null 2>&1 &
ok
