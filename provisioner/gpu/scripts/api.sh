#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# api.sh PORT
# Asks the miner's API on loopback, which speaks a JSON object a line over TCP.
# Every instance has curl, and that can do without HTTP; it reads on until its
# input ends. No answer is none of this script's failures.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

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
