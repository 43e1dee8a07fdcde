#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Removes the folder of the scripts, this one and all.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

cd /
rm -rf "$WORK" || fail "cannot remove $WORK"
ok
