#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Moves $WORK/inventory.json to /etc/ethminer, with the list of packages beside it.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

to=$ETHMINER_ROOT/etc/ethminer
! have dpkg-query || dpkg-query -W >"$WORK/packages.txt" || fail "dpkg-query cannot list the packages"
[ ! -f "$WORK/packages.txt" ] || put 644 "$WORK/packages.txt" "$to/packages.txt" || fail "cannot write to $to"
put 644 "$WORK/inventory.json" "$to/inventory.json" || fail "cannot write to $to"
ok
