#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Takes away the packages that toolkit.sh has added, but for the libraries that
# the miner is linked with, and what apt keeps to work faster.

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
	# Marked as had by chance, they go together with what only they needed, and
	# what the libraries need stays.
	# shellcheck disable=SC2086
	[ -z "$libraries" ] || apt-mark manual $libraries >/dev/null || true
	# shellcheck disable=SC2086
	[ -z "$unneeded" ] || apt-mark auto $unneeded >/dev/null || true
	apt autoremove --purge >"$WORK/apt.log" 2>&1 || {
		cat "$WORK/apt.log"
		fail "apt-get cannot take the build's packages away" "the last lines of the output say why"
	}
	if missing=$(ldd "$root/usr/local/bin/ethminer" 2>/dev/null | grep 'not found'); then
		fail "the miner has lost a library with the build's packages: $missing"
	fi
	rm -f "$WORK/added"
fi
if [ -z "$root" ] && have apt-get; then
	apt clean || true
	rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
fi
ok
