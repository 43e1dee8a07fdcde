#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# run.sh PIDFILE SECONDS SCRIPT ARGS...
# Runs SCRIPT as a process group whose leader is in PIDFILE, SECONDS at most.
# timeout makes the group and passes TERM and INT on to all of it.

set -eu
pidfile=$1 seconds=$2 script=$3
shift 3
echo $$ >"$pidfile"
exec timeout -k 10 "$seconds" sh "$script" "$@" </dev/null
