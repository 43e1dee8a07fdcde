#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Removes the packages that toolkit.sh added, except libraries that the miner is
# linked against, and apt's caches.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

root=$ETHMINER_ROOT
if [ -s "$WORK/added" ]; then
	libraries=$(ldd "$root/usr/local/bin/ethminer" 2>/dev/null | sed -n 's/^.*=> \(\/[^ ]*\) .*$/\1/p' | while IFS= read -r library; do
		# The path may lead through a link that no package owns (/lib).
		dpkg -S "$library" 2>/dev/null || dpkg -S "$(readlink -f "$library")" 2>/dev/null || true
	done | sed 's/:.*//' | sort -u)
	printf '%s\n' "$libraries" >"$WORK/kept"
	unneeded=$(sort -u "$WORK/added" | grep -vxF -f "$WORK/kept" || true)
	# autoremove removes packages marked auto with their unused dependencies and
	# keeps what the manual ones need.
	# shellcheck disable=SC2086
	[ -z "$libraries" ] || apt-mark manual $libraries >/dev/null || true
	# shellcheck disable=SC2086
	[ -z "$unneeded" ] || apt-mark auto $unneeded >/dev/null || true
	apt autoremove --purge >"$WORK/apt.log" 2>&1 || {
		cat "$WORK/apt.log"
		fail "apt-get cannot remove the build packages" "see the last lines of the output"
	}
	if missing=$(ldd "$root/usr/local/bin/ethminer" 2>/dev/null | grep 'not found'); then
		fail "removing the build packages also removed a library that the miner needs: $missing"
	fi
	rm -f "$WORK/added"
fi
if [ -z "$root" ] && have apt-get; then
	apt clean || true
	rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
fi
ok
