#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# driver.sh BRANCH PACKAGES...
# Installs NVIDIA's driver without DKMS, with every package pinned at apt's current
# candidate, and holds driver and kernel: upgrading only one of them breaks mining
# ("Driver/library version mismatch"). A name that ends with "=driver" is
# installed in the driver's version.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

branch=$1
shift
[ "$(id -u)" = 0 ] ||
	fail "installing a driver needs root" "allow the login user to run sudo without a password and keep execute_as_root = true, or start from an image with a driver"
used_before=$(used)
updated=yes
apt_update "$WORK/apt.log" || updated=no
cat "$WORK/apt.log"

candidate() { apt-cache policy "$1" | sed -n 's/^ *Candidate: *//p' | grep -v '(none)'; }

driver=
pinned=
for package in "$@"; do
	name=${package%=driver}
	version=$(candidate "$name") || version=
	[ -n "$version" ] ||
		apt_failed " $name: no version is available" "$WORK/apt.log"
	case $name in
	nvidia-utils-*)
		driver=$version
		# Old branches become transitional packages that pull in a newer one.
		case $version in
		"$branch".*) ;;
		*) fail "$name is $version, which does not belong to branch $branch" "set driver_branch to a branch that Ubuntu still provides" ;;
		esac
		;;
	esac
	if [ "$name" != "$package" ]; then
		# A separate source package with its own revisions: match the upstream version.
		version=$(apt-cache madison "$name" | awk -v want="${driver%%-*}" '{ split($3, v, "-"); if (v[1] == want) { print $3; exit } }')
		[ -n "$version" ] ||
			fail "apt has no $name of version ${driver%%-*}" "the GPUs of this type require it in exactly the driver's version: choose another driver_branch"
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

# shellcheck disable=SC2046,SC2086
apt-mark hold $(kernels) $(printf '%s\n' $pinned | sed 's/=.*//') || fail "apt-mark cannot hold the driver and the kernel"

fact driver "${driver%%-*}"
fact pinned "${pinned# }"
fact grown_kb "$(($(used) - used_before))"

if modprobe nvidia 2>/dev/null && nvidia-smi >/dev/null 2>&1; then
	fact reboot no
else
	# The modules are for the newest kernel of the archive, which may be neither the
	# running nor the next one: check before a reboot into a kernel without them.
	next=$(find "$ETHMINER_ROOT/boot" -name 'vmlinuz-*' 2>/dev/null | sed 's/^.*vmlinuz-//' | sort -V | tail -n 1) || next=
	if [ -n "$next" ] && [ -z "$(find "$ETHMINER_ROOT/lib/modules/$next" -name 'nvidia.ko*' 2>/dev/null | head -n 1)" ]; then
		having=$(find "$ETHMINER_ROOT/lib/modules" -name 'nvidia.ko*' 2>/dev/null | sed 's|^.*/lib/modules/\([^/]*\)/.*$|\1|' | sort -u | tr '\n' ' ')
		fail "the kernel that boots next, $next, has no NVIDIA module (kernels that have one: ${having:-none}): the archive's kernel is newer than its modules" "start from an image with a newer kernel or a driver, or set driver_branch to a branch with modules for $next"
	fi
	fact reboot yes
fi
ok
