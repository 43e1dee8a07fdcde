#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# stamp.sh NAME KEY image|scratch
# Records that phase NAME is done for the inputs that KEY is the hash of.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

case $3 in
image) folder=$ETHMINER_ROOT/etc/ethminer/phases ;;
*) folder=$WORK/stamps ;;
esac
{ mkdir -p "$folder" && echo "$2" >"$folder/$1.new" && mv -f "$folder/$1.new" "$folder/$1"; } ||
	fail "cannot write to $folder" "allow the login user to run sudo without a password and keep execute_as_root = true"
ok
