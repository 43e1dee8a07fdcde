#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# scratch.sh MEGABYTES USER [DISKS...]
# Creates $WORK/scratch for USER with MEGABYTES of free space: on an unused
# instance-store disk, in memory, or else as a folder, which clean removes.
# Blocks once written to the root volume are snapshotted and copied to every
# region, even after the files are deleted.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

need=$1 user=$2
shift 2
mkdir -p "$scratch"

kind=
if grep -q " $scratch " /proc/mounts; then
	kind=kept
elif [ -z "$ETHMINER_ROOT" ] && [ "$(id -u)" = 0 ]; then
	for disk in "$@"; do
		# Skip disks that are mounted or have a file system or partitions.
		if grep -q "^$disk" /proc/mounts || [ -n "$(blkid -p "$disk" 2>/dev/null)" ]; then
			continue
		fi
		if mkfs.ext4 -q -E nodiscard "$disk" && mount -o noatime "$disk" "$scratch"; then
			kind="instance store $disk"
			break
		fi
	done
	# Compilers need memory too.
	available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
	if [ -z "$kind" ] && [ "$available" -ge $((2 * need + 2048)) ] &&
		mount -t tmpfs -o "size=$((2 * need))m,mode=755" ethminer-scratch "$scratch" 2>/dev/null; then
		kind=memory
	fi
fi
[ "$(id -u)" != 0 ] || chown "$user" "$scratch"
fact scratch "${kind:-folder on the root volume}"

free=$(df -Pm "$scratch" | awk 'NR == 2 { print $4 }')
[ "$free" -ge "$need" ] ||
	fail "the disk of ${scratch%/*/scratch} has $free MB free, expected $need MB or more" "give the instance a larger root volume (launch_block_device_mappings)"
ok
