#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# toolkit.sh [PROGRAM=PACKAGE | PACKAGE]...
# Installs missing build dependencies: a PACKAGE whose PROGRAM is not in PATH, or
# that dpkg does not list. Does not call apt if nothing is missing. Records the
# added packages in $WORK/added, for purge.sh.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

packages=
for want in "$@"; do
	case $want in
	*=*)
		found=no
		# PROGRAM may be a list: a|b|c.
		for program in $(printf %s "${want%%=*}" | tr '|' ' '); do
			! have "$program" || found=yes
		done
		[ "$found" = yes ] || packages="$packages ${want#*=}"
		;;
	*)
		dpkg-query -W -f '${db:Status-Status}' "$want" 2>/dev/null | grep -qx installed ||
			packages="$packages $want"
		;;
	esac
done

if [ -z "$packages" ]; then
	fact installed ""
	ok
	exit
fi
[ "$(id -u)" = 0 ] ||
	fail "the instance lacks$packages, and installing them needs root" "allow the login user to run sudo without a password and keep execute_as_root = true, or start from an image that has them"
have apt-get ||
	fail "the instance lacks$packages, and has no apt-get to install them with" "start from an Ubuntu or Debian image, or from one that has them"

list() { dpkg-query -W -f '${Package}\n' 2>/dev/null | sort -u; }
list >"$WORK/before"
updated=yes
apt_update "$WORK/apt.log" || updated=no
cat "$WORK/apt.log"
# $packages is a list of words.
# shellcheck disable=SC2086
if ! apt install --no-install-recommends $packages >"$WORK/apt.log" 2>&1; then
	cat "$WORK/apt.log"
	apt_failed "$packages" "$WORK/apt.log"
fi
cat "$WORK/apt.log"
list | comm -13 "$WORK/before" - >>"$WORK/added"
fact installed "$packages"
ok
