#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# loaded.sh VERSION [fabricmanager]
# Checks that the loaded driver is VERSION and responds.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

want=$1
remedy="check: dmesg | grep -i nvidia; or start from an image with a driver, such as a Deep Learning AMI"
if ! said=$(nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader 2>&1); then
	fail "the driver $want was installed, but nvidia-smi fails: $said" "$remedy"
fi
loaded=$(printf '%s\n' "$said" | awk -F ', *' 'NR == 1 { print $3 }')
[ "$loaded" = "$want" ] ||
	fail "the loaded driver is $loaded, expected $want" "$remedy"
if [ "${2:-}" = fabricmanager ]; then
	systemctl enable --now nvidia-fabricmanager.service ||
		fail "systemctl cannot start nvidia-fabricmanager.service, without which CUDA fails with error 802 on this type" "$remedy"
fi
printf '%s\n' "$said" | while IFS= read -r gpu; do
	[ -z "$gpu" ] || fact gpu "$gpu"
done
ok
