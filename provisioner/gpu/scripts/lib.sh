#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Functions that all scripts share. ETHMINER_ROOT is the prefix of every path outside
# the scratch folder; only tests set it.

# shellcheck source=internal/remote/protocol.sh
. "$WORK/protocol.sh"

# Sources, builds and the toolkit; off the root volume where scratch.sh found
# space elsewhere.
# shellcheck disable=SC2034 # for the scripts
scratch=$WORK/scratch

# fail REASON [REMEDY]: reports a failure and exits. A full disk causes many
# failures and is easily missed, so it is checked here.
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

# put MODE FROM TO: installs a file atomically, if it differs.
put() {
	if cmp -s "$2" "$3" 2>/dev/null; then
		return
	fi
	mkdir -p "${3%/*}" && cp "$2" "$3.new" && chmod "$1" "$3.new" && mv -f "$3.new" "$3"
}

# unpack_here ARCHIVE OPTIONS...: unpacks a tar archive, also as root without its owners
# and setuid modes. GNU tar keeps members such as ../x and links out of other folders.
unpack_here() {
	tar --no-same-owner --no-same-permissions -xf "$@"
}

# describe_toolkit NVCC: reports the CUDA toolkit of a compiler as the fact
# "toolkit VERSION|NVCC|ROOT|INCLUDE|LIB"; the last two are empty if there is no
# runtime. Links are resolved: nvcc derives a wrong root from a link's folder. The
# prefix tk_ avoids clashes, since shell variables are global.
describe_toolkit() {
	tk_nvcc=$(readlink -f "$1") || return 0
	# A link named nvcc may point to ccache.
	[ "${tk_nvcc##*/}" = nvcc ] || tk_nvcc=$1
	[ -x "$tk_nvcc" ] || return 0
	tk_version=$("$tk_nvcc" --version 2>/dev/null | sed -n 's/^.*release \([0-9.]*\).*$/\1/p')
	# Debian's nvcc is a script in /usr/bin, whose toolkit is elsewhere.
	tk_root=$("$tk_nvcc" -v __no_such_file 2>&1 | sed -n 's/^#\$ TOP=//p' | head -n 1) || tk_root=
	tk_root=$(cd "${tk_root:-${tk_nvcc%/*}/..}" 2>/dev/null && pwd -P) || tk_root=${tk_nvcc%/bin/nvcc}
	tk_include='' tk_lib=''
	for tk_dir in "$tk_root/include" "$tk_root/targets/$(uname -m)-linux/include" "$tk_root"/targets/*/include "$ETHMINER_ROOT/usr/include"; do
		[ -n "$tk_include" ] || [ ! -f "$tk_dir/cuda_runtime.h" ] || tk_include=$tk_dir
	done
	for tk_dir in "$tk_root/lib64" "$tk_root/targets/$(uname -m)-linux/lib" "$tk_root"/targets/*/lib "$tk_root/lib" "$ETHMINER_ROOT"/usr/lib/*-linux-gnu; do
		[ -n "$tk_lib" ] || [ ! -f "$tk_dir/libcudart_static.a" ] || tk_lib=$tk_dir
	done
	fact toolkit "$tk_version|$tk_nvcc|$tk_root|$tk_include|$tk_lib"
}

# used: prints how much of the root volume is used, in kB.
used() { df -Pk "$ETHMINER_ROOT/" | awk 'NR == 2 { print $3 }'; }

# apt ARGS...: non-interactive apt-get that waits for the lock.
apt() {
	DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
		apt-get -q -y -o "DPkg::Lock::Timeout=${APT_PATIENCE:-300}" -o Acquire::Retries=3 "$@"
}

# apt_update LOG: updates apt's lists. On the first boot cloud-init may still run
# apt, and DPkg::Lock::Timeout does not cover the lock of the lists.
apt_update() {
	if have cloud-init && [ "$(cat /proc/1/comm 2>/dev/null)" = systemd ]; then
		timeout "${APT_PATIENCE:-300}" cloud-init status --wait >/dev/null 2>&1 || true # its result does not matter here
	fi
	patience=${APT_PATIENCE:-300}
	until apt update >"$1" 2>&1; do
		grep -q 'Could not get lock\|Unable to lock' "$1" && [ "$patience" -gt 0 ] || return 1
		sleep 2
		patience=$((patience - 2))
	done
}

# kernels: prints the installed kernel packages, one per line.
kernels() {
	dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'linux-aws*' 'linux-image*' 'linux-headers*' 'linux-modules*' 2>/dev/null | sed -n 's/^installed //p' || true
}

# apt_failed WHAT LOG: fails with the cause that apt-get's output shows.
apt_failed() {
	if grep -q 'Could not get lock\|Unable to acquire the dpkg\|Unable to lock' "$2"; then
		fail "apt-get cannot install$1: another program held apt's lock for ${APT_PATIENCE:-300} s" "find it (unattended-upgrades, cloud-init) with: fuser -v /var/lib/dpkg/lock-frontend; run again when it has finished"
	fi
	if grep -q 'No space left on device\|enough free space' "$2"; then
		fail "apt-get cannot install$1: the disk is full" "give the instance a larger root volume (launch_block_device_mappings)"
	fi
	if [ "${updated:-yes}" = no ] || grep -q 'Temporary failure resolving\|Could not connect\|Failed to fetch' "$2"; then
		fail "apt-get cannot update its lists or install$1" "check that the instance can reach its package mirror (route, security group, DNS), or start from an image that has them"
	fi
	fail "apt-get cannot install$1" "see the last lines of the output"
}
