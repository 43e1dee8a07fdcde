#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# command.sh COMMAND
# Runs a command of the user.

exec 2>&1
if sh -c "$1"; then
	echo @ok
else
	status=$?
	echo "@fail exit code $status"
	exit 1
fi
