#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Reports the last GPU errors in the kernel log.

# shellcheck source=internal/remote/protocol.sh
. "$WORK/protocol.sh"

{ dmesg 2>/dev/null || journalctl -k -q -o short-monotonic --no-pager 2>/dev/null || :; } |
	grep -F 'NVRM: Xid' | tail -n 20 | while IFS= read -r line; do
	fact xid "$line"
done
ok
