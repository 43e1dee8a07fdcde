#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# boot.sh SECONDS
# Waits at most SECONDS for the end of the boot, and reports how it went.

# shellcheck source=internal/remote/protocol.sh
. "$WORK/protocol.sh"

if have cloud-init; then
	timeout "$1" cloud-init status --wait >/dev/null 2>&1 || true # the state says more
	cloud-init status --long 2>&1 | while IFS= read -r line; do
		fact cloud "$line"
	done
fi
if have systemctl; then
	fact system "$(timeout "$1" systemctl is-system-running --wait 2>/dev/null || true)"
	systemctl list-units --failed --plain --no-legend 2>/dev/null | while read -r unit _; do
		fact failed "$unit"
	done
fi
fact starting "$(systemctl show -p SubState --value ethminer.service 2>/dev/null || true)"
# The folders that a boot writes to. A read-only file system may be full.
for dir in /etc /var /var/log /var/lib /tmp; do
	! [ -w "$dir" ] || df -Pm "$dir" | awk 'NR == 2 { print $4, $6 }'
done | sort -n | head -n 1 | while read -r free mount; do
	fact free "$free"
	fact mount "$mount"
done
! [ -f /etc/ethminer/benchmark.json ] || fact report "$(cat /etc/ethminer/benchmark.json)"
ok
