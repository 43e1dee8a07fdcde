#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# leave.sh yes|no
# Removes the folder of the scripts, including this one; with yes also the keys of
# SSH. It is the last script.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

root=$ETHMINER_ROOT
cd /
rm -rf "$WORK" || fail "cannot remove $WORK"
if [ "$1" = yes ]; then
	# A new instance generates its host keys and gets the user's key from EC2.
	left=
	for file in "$root"/etc/ssh/ssh_host_* "$root/root/.ssh/authorized_keys" "$root"/home/*/.ssh/authorized_keys; do
		rm -f "$file"
		[ ! -e "$file" ] || left="$left $file"
	done
	[ -z "$left" ] || fail "the image cannot be shared: it still contains$left" "find what writes these files"
	sync
fi
ok
