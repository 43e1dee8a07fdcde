#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Removes the scratch folder, this script and all.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

cd /
bytes=$(du -sk "$WORK" | awk '{ print $1 }')
rm -rf "$WORK" || fail "cannot remove $WORK"
fact kilobytes "$bytes"
ok
