#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# clean.sh yes|no
# Removes the scratch folder; with yes also what an image that is shared must
# not have, after AWS's guide for shared AMIs.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

root=$ETHMINER_ROOT
cd /
kilobytes=$(du -sk "$scratch" 2>/dev/null | awk '{ print $1 }')
fact kilobytes "${kilobytes:-0}"
if grep -q " $scratch " /proc/mounts; then
	umount "$scratch" || fail "cannot unmount $scratch" "see what uses it with: fuser -vm $scratch"
fi
rm -rf "$scratch" "$WORK/stamps" || fail "cannot remove $scratch"

rm -rf "$root"/tmp/cuda-* "$root/root/.cache"
if [ "$1" = yes ]; then
	# Keys: a new instance makes its own, and gets its user's from EC2.
	rm -f "$root"/etc/ssh/ssh_host_*
	for home in "$root/root" "$root"/home/*; do
		rm -f "$home/.ssh/authorized_keys" "$home/.bash_history" "$home/.sh_history" "$home/.python_history" "$home/.lesshst" "$home/.wget-hsts" "$home/.viminfo"
		rm -rf "$home/.cache" "$home/.sudo_as_admin_successful"
	done
	# Empty, not absent: systemd then makes a new one at boot.
	[ ! -f "$root/etc/machine-id" ] || : >"$root/etc/machine-id"
	rm -f "$root/var/lib/dbus/machine-id" "$root/var/lib/systemd/random-seed"
	# cloud-init takes the next boot for the first.
	rm -rf "$root"/var/lib/cloud/instance "$root"/var/lib/cloud/instances/* "$root"/var/lib/cloud/data/* "$root"/var/lib/cloud/sem/*
	rm -f "$root"/var/log/cloud-init*.log
	# Emptied, since whoever writes them has them open.
	find "$root/var/log" -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' \) -exec rm -f {} + 2>/dev/null || true
	find "$root/var/log" -type f -exec sh -c 'for log; do : >"$log"; done' sh {} + 2>/dev/null || true
	rm -rf "$root"/var/log/journal/*
	left=
	for file in "$root"/etc/ssh/ssh_host_*_key "$root/root/.ssh/authorized_keys" "$root"/home/*/.ssh/authorized_keys "$root/etc/ethminer/ethminer.conf"; do
		[ ! -e "$file" ] || left="$left $file"
	done
	[ -z "$left" ] || fail "the image would not be fit to be shared: it has$left" "see who may write there"
fi
sync
fact used_kb "$(used)"
ok
