#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints what explains a failure: the state of cloud-init and of the service, and the
# journal of this boot.

# shellcheck source=internal/remote/protocol.sh
. "$WORK/protocol.sh"

show() {
	echo "$ $*"
	timeout 20 "$@" 2>&1 || true
	echo
}
show cloud-init status --long
show systemctl list-units --failed
show systemctl status --no-pager --full ethminer.service
show df -h
show tail -n 60 /var/log/cloud-init-output.log
show journalctl -q -b --no-pager -n 2000
ok
