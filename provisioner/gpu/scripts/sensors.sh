#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# sensors.sh FIELDS OLD_FIELDS
# Asks nvidia-smi for a line for each GPU; older drivers know other names. No
# answer is none of this script's failures.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

for fields in "$@"; do
	lines=$(nvidia-smi "--query-gpu=$fields" --format=csv,noheader,nounits 2>/dev/null) || continue
	printf '%s\n' "$lines" | while IFS= read -r line; do
		[ -z "$line" ] || fact sensors "$line"
	done
	break
done
ok
