#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# clean.sh yes|no
# Removes the scratch folder; with yes also what a shared image must not contain,
# by AWS's guide for shared AMIs. leave.sh removes the keys of SSH: without them, a
# lost connection cannot be established again.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

root=$ETHMINER_ROOT
cd /
kilobytes=$(du -sk "$scratch" 2>/dev/null | awk '{ print $1 }')
fact kilobytes "${kilobytes:-0}"
if grep -q " $scratch " /proc/mounts; then
	umount "$scratch" || fail "cannot unmount $scratch" "find what uses it with: fuser -vm $scratch"
fi
rm -rf "$scratch" "$WORK/stamps" || fail "cannot remove $scratch"

rm -rf "$root"/tmp/cuda-* "$root/root/.cache"
if [ "$1" = yes ]; then
	for home in "$root/root" "$root"/home/*; do
		rm -f "$home/.bash_history" "$home/.sh_history" "$home/.python_history" "$home/.lesshst" "$home/.wget-hsts" "$home/.viminfo"
		rm -rf "$home/.cache" "$home/.sudo_as_admin_successful"
	done
	# Empty, not absent: systemd then generates a new one at boot.
	[ ! -f "$root/etc/machine-id" ] || : >"$root/etc/machine-id"
	rm -f "$root/var/lib/dbus/machine-id" "$root/var/lib/systemd/random-seed"
	# Makes cloud-init treat the next boot as the first.
	rm -rf "$root"/var/lib/cloud/instance "$root"/var/lib/cloud/instances/* "$root"/var/lib/cloud/data/* "$root"/var/lib/cloud/sem/*
	rm -f "$root"/var/log/cloud-init*.log
	# Truncated, not removed: their writers have them open.
	find "$root/var/log" -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' \) -exec rm -f {} + 2>/dev/null || true
	find "$root/var/log" -type f -exec sh -c 'for log; do : >"$log"; done' sh {} + 2>/dev/null || true
	rm -rf "$root"/var/log/journal/*
	file=$root/etc/ethminer/ethminer.conf
	[ ! -e "$file" ] || fail "the image cannot be shared: it still contains $file" "find what writes this file"
fi
sync
fact used_kb "$(used)"
ok
