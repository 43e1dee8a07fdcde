#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# gcc.sh NEWEST
# Reports whether the system's GCC is version NEWEST or older.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

fits=yes
if have g++; then
	version=$(g++ -dumpversion)
	[ "${version%%.*}" -le "$1" ] || fits=no
fi
fact fits "$fits"
ok
