#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Creates an empty folder for the user's patches.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

{ rm -rf "$WORK/patches" && mkdir "$WORK/patches"; } || fail "cannot write to $WORK"
ok
