#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# run.sh PIDFILE SECONDS SCRIPT ARGS...
# Runs SCRIPT as a process group for at most SECONDS and writes the group leader to
# PIDFILE. timeout creates the group and forwards TERM and INT to it.
# With SECRET=stdin, SECRET becomes the first line of the input. It is read here, as
# the group may not read from a terminal (ssh_pty).

set -eu
pidfile=$1 seconds=$2 script=$3
shift 3

# After a lost connection, an earlier run of the script may still be running.
old=$(cat "$pidfile" 2>/dev/null) || old=
if [ -n "$old" ] && tr '\0' ' ' 2>/dev/null <"/proc/$old/cmdline" | grep -qF " $script "; then
	sh "${0%/*}/stop.sh" "$pidfile" TERM KILL
fi
echo $$ >"$pidfile"
if [ "${SECRET:-}" = stdin ]; then
	IFS= read -r SECRET
	export SECRET
fi
exec timeout -k 10 "$seconds" sh "$script" "$@" </dev/null
