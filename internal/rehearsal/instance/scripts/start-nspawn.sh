#!/bin/sh
# start-nspawn ROOT CGROUP... -- OPTION...: starts systemd-nspawn in ROOT and the cgroups.
set -eu
cd "$1"
shift
pivot_root . .
umount -l .
cd /
mount -t proc proc /proc
while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs"; shift; done
shift
exec /usr/bin/systemd-nspawn "$@"
