#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# stop.sh PIDFILE SIGNALS...
# Ends the process group that run.sh started: sends each signal in turn and waits
# two seconds. Not an error if the group does not exist.

set -u
pidfile=$1
shift

# A phase that is stopped immediately may not have written the file yet.
tries=20
while [ ! -s "$pidfile" ] && [ "$tries" -gt 0 ]; do
	sleep 0.1
	tries=$((tries - 1))
done
group=$(cat "$pidfile" 2>/dev/null) || exit 0
[ -n "$group" ] || exit 0

for s in "$@"; do
	# It is a process before timeout makes it a group.
	kill -s "$s" -- "-$group" 2>/dev/null || kill -s "$s" "$group" 2>/dev/null || exit 0
	tries=10
	while [ "$tries" -gt 0 ]; do
		kill -s 0 -- "-$group" 2>/dev/null || exit 0
		sleep 0.2
		tries=$((tries - 1))
	done
done
