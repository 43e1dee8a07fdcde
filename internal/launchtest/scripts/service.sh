#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Reports the state of ethminer.service.

# shellcheck source=internal/remote/protocol.sh
. "$WORK/protocol.sh"

unit=ethminer.service
fact enabled "$(systemctl is-enabled "$unit" 2>/dev/null || true)"
for property in LoadState ActiveState SubState Result ConditionResult NRestarts MainPID ExecMainStatus ExecMainCode; do
	fact "$property" "$(systemctl show -p "$property" --value "$unit")"
done
pid=$(systemctl show -p MainPID --value "$unit")
if [ "$pid" -gt 0 ] && [ -r "/proc/$pid/cmdline" ]; then
	# The API's address is an argument of its own, or part of one.
	fact api "$(tr '\0' '\n' <"/proc/$pid/cmdline" | awk 'next_is { print; exit } $0 == "--api-bind" || $0 == "--api-port" { next_is = 1 } sub(/^--api-(bind|port)=/, "") { print; exit }')"
fi
ok
