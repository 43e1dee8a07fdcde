#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# pool.sh ARGS...
# Lets ethminer.service mine at the pool in SECRET, with ARGS.

# shellcheck source=internal/remote/protocol.sh
. "$WORK/protocol.sh"

umask 077
mkdir -p /etc/ethminer
printf 'ETHMINER_ARGS=%s -P %s\n' "$*" "$SECRET" >/etc/ethminer/ethminer.conf
unset SECRET
if ! systemctl restart ethminer.service; then
	echo "@fail ethminer.service does not start with the pool"
	exit 1
fi
ok
