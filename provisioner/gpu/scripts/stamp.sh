#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# stamp.sh NAME KEY image|scratch
# Notes that the phase NAME is done for the inputs that KEY stands for.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

case $3 in
image) folder=$ETHMINER_ROOT/etc/ethminer/phases ;;
*) folder=$WORK/stamps ;;
esac
{ mkdir -p "$folder" && echo "$2" >"$folder/$1.new" && mv -f "$folder/$1.new" "$folder/$1"; } ||
	fail "cannot write to $folder" "let the login user run sudo without a password and keep execute_as_root = true"
ok
