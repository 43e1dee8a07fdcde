#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# What every script shares. Lines that begin with @ speak to the plugin:
# see answer.go. ETHMINER_ROOT stands in front of every path outside the
# scratch folder; it is empty but in tests.

set -eu

# Sources, builds and the toolkit: off the root volume where scratch.sh found
# room elsewhere.
# shellcheck disable=SC2034 # for the scripts
scratch=$WORK/scratch

# fact KEY VALUE: something found out.
fact() { printf '@fact %s %s\n' "$1" "$(printf %s "$2" | tr '\n' ' ')"; }

# fail REASON [REMEDY]: gives up. A full disk is behind many failures, and its
# message drowns in others.
fail() {
	free=$(df -Pm "$scratch" 2>/dev/null | awk 'NR == 2 { print $4 }') || free=
	printf '@fail %s\n' "$(printf %s "$1" | tr '\n' ' ')"
	if [ -n "$free" ] && [ "$free" -lt 5 ]; then
		printf '@remedy %s\n' "the disk of $scratch is full: give the instance a larger root volume (launch_block_device_mappings)"
	elif [ $# -ge 2 ]; then
		printf '@remedy %s\n' "$2"
	fi
	exit 1
}

# ok: the script's last word; without it the plugin takes it as failed.
ok() { echo @ok; }

have() { command -v "$1" >/dev/null 2>&1; }

# put MODE FROM TO: installs a file at once, and only if it differs.
put() {
	if cmp -s "$2" "$3" 2>/dev/null; then
		return
	fi
	mkdir -p "${3%/*}" && cp "$2" "$3.new" && chmod "$1" "$3.new" && mv -f "$3.new" "$3"
}

# used: how much of the root volume is used, in kB.
used() { df -Pk "$ETHMINER_ROOT/" | awk 'NR == 2 { print $3 }'; }

# apt ARGS...: apt-get without questions; waits for another's lock.
apt() {
	DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
		apt-get -q -y -o "DPkg::Lock::Timeout=${APT_PATIENCE:-300}" -o Acquire::Retries=3 "$@"
}

# apt_failed WHAT LOG: why apt-get failed, from what it has said.
apt_failed() {
	if grep -q 'Could not get lock\|Unable to acquire the dpkg' "$2"; then
		fail "apt-get cannot install$1: another program has held apt's lock for ${APT_PATIENCE:-300} s" "see what it is (unattended-upgrades, cloud-init) with: fuser -v /var/lib/dpkg/lock-frontend; run again when it has ended"
	fi
	if grep -q 'No space left on device\|enough free space' "$2"; then
		fail "apt-get cannot install$1: the disk is full" "give the instance a larger root volume (launch_block_device_mappings)"
	fi
	if [ "${updated:-yes}" = no ] || grep -q 'Temporary failure resolving\|Could not connect\|Failed to fetch' "$2"; then
		fail "apt-get can neither update its lists nor install$1" "see that the instance reaches its package mirror (route, security group, DNS), or start from an image that has them"
	fi
	fail "apt-get cannot install$1" "the last lines of the output say why"
}
