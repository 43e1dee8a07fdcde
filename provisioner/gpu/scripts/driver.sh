#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# driver.sh BRANCH PACKAGES...
# Installs NVIDIA's driver without DKMS, every package at the version that apt
# would choose now, and holds it and the kernel: an upgrade of one without the
# other ends mining ("Driver/library version mismatch"). A name that ends with
# "=driver" gets the driver's own version.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

branch=$1
shift
[ "$(id -u)" = 0 ] ||
	fail "installing a driver needs root" "let the login user run sudo without a password and keep execute_as_root = true, or start from an image with a driver"
used_before=$(used)
updated=yes
apt update >"$WORK/apt.log" 2>&1 || updated=no
cat "$WORK/apt.log"

candidate() { apt-cache policy "$1" | sed -n 's/^ *Candidate: *//p' | grep -v '(none)'; }

driver=
pinned=
for package in "$@"; do
	name=${package%=driver}
	version=$(candidate "$name") || version=
	[ -n "$version" ] ||
		apt_failed " $name, of which there is no version" "$WORK/apt.log"
	case $name in
	nvidia-utils-*)
		driver=$version
		# Old branches become transitional packages that pull a newer one.
		case $version in
		"$branch".*) ;;
		*) fail "$name is $version, which is not of the branch $branch" "set driver_branch to a branch that Ubuntu still has" ;;
		esac
		;;
	esac
	if [ "$name" != "$package" ]; then
		# Packaged apart, so that revisions differ: the upstream version counts.
		version=$(apt-cache madison "$name" | awk -v want="${driver%%-*}" '{ split($3, v, "-"); if (v[1] == want) { print $3; exit } }')
		[ -n "$version" ] ||
			fail "apt has no $name of version ${driver%%-*}" "the GPUs of this type need it at exactly the driver's version: choose another driver_branch"
	fi
	pinned="$pinned $name=$version"
done

# $pinned is a list of words.
# shellcheck disable=SC2086
if ! apt install --no-install-recommends $pinned >"$WORK/apt.log" 2>&1; then
	cat "$WORK/apt.log"
	apt_failed "$pinned" "$WORK/apt.log"
fi
cat "$WORK/apt.log"

kernels=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'linux-aws*' 'linux-image*' 'linux-headers*' 'linux-modules*' 2>/dev/null | sed -n 's/^installed //p') || true
# shellcheck disable=SC2046,SC2086
apt-mark hold $kernels $(printf '%s\n' $pinned | sed 's/=.*//') || fail "apt-mark cannot hold the driver and the kernel"

fact driver "${driver%%-*}"
fact pinned "${pinned# }"
fact grown_kb "$(($(used) - used_before))"

if modprobe nvidia 2>/dev/null && nvidia-smi >/dev/null 2>&1; then
	fact reboot no
else
	# The modules are for the newest kernel, which need not be the running one.
	fact reboot yes
fi
ok
