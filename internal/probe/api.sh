#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# api.sh PORT
# Queries the miner's API on loopback: one JSON object per line over TCP. Uses
# curl, which every instance has, in telnet mode. A missing response is not an
# error.

# shellcheck source=internal/remote/protocol.sh
. "$WORK/protocol.sh"

ask() {
	for method in miner_getstat1 miner_getstatdetail; do
		printf '{"id":1,"jsonrpc":"2.0","method":"%s"}\n' "$method"
	done
	sleep 0.5
}
ask | curl -sN --noproxy '*' --max-time 3 "telnet://127.0.0.1:$1" 2>/dev/null | while read -r line; do
	fact api "$line"
done || :
ok
