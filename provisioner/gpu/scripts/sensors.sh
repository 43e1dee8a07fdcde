#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# sensors.sh FIELDS OLD_FIELDS
# Queries nvidia-smi, one line per GPU; older drivers use other field names. A
# missing response is not an error.

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
