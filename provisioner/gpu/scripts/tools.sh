#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# tools.sh [PROGRAM]
# Installs what a build needs and is absent: cmake, a C++ compiler, make or
# ninja, and PROGRAM if given. Nothing absent means no call of apt.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

packages=
have cmake || packages="$packages cmake"
have c++ || have g++ || have clang++ || packages="$packages g++"
have make || have ninja || packages="$packages make"
for program in "$@"; do
	# Git without certificates cannot fetch by https.
	have "$program" || packages="$packages $program ca-certificates"
done

if [ -z "$packages" ]; then
	fact installed ""
	ok
	exit
fi
[ "$(id -u)" = 0 ] ||
	fail "the instance lacks$packages, and installing them needs root" "let the login user run sudo without a password and keep execute_as_root = true, or start from an image that has them"
have apt-get ||
	fail "the instance lacks$packages, and has no apt-get to install them with" "start from an Ubuntu or Debian image, or from one that has them"

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
apt() {
	apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

updated=yes
apt update || updated=no
# $packages is a list of words.
# shellcheck disable=SC2086
if ! apt install --no-install-recommends $packages; then
	if [ "$updated" = no ]; then
		fail "apt-get can neither update its lists nor install$packages" "see that the instance reaches its package mirror (route, security group, DNS), or start from an image that has them"
	fi
	fail "apt-get cannot install$packages" "the last lines of the output say why"
fi
fact installed "$packages"
ok
