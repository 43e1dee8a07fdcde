#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Functions that the helpers on an instance share: the state of its GPUs.

set -eu

# listed: prints the number of GPUs that the driver lists. A driver that has lost a GPU
# may not answer.
listed() { timeout 30 nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true; }

# present: prints the number of GPUs that the instance must have: $ETHMINER_GPUS, or
# NVIDIA's display controllers on the PCI bus.
present() {
	if [ -n "${ETHMINER_GPUS:-}" ]; then
		echo "$ETHMINER_GPUS"
		return
	fi
	count=0
	for device in "${SYSFS:-/sys}"/bus/pci/devices/*; do
		case "$(cat "$device/vendor" "$device/class" 2>/dev/null | paste -s -)" in
		"0x10de	0x0300"* | "0x10de	0x0302"*) count=$((count + 1)) ;;
		esac
	done
	echo "$count"
}

# lost_gpus: prints how many GPUs are lost, if any.
lost_gpus() {
	want=$(present)
	[ "$want" -gt 0 ] || return 0
	got=$(listed)
	[ "$got" -ge "$want" ] || echo "$((want - got)) of $want GPUs are lost"
}

# fatal_xid: prints the last error in the kernel log after which NVIDIA's catalog demands
# a reset of the GPU or its repair, if any. Errors of programs are not among them
# (https://docs.nvidia.com/deploy/xid-errors/).
fatal_xid() {
	journalctl -k -b -q -o cat --no-pager 2>/dev/null |
		sed -n 's/.*NVRM: Xid ([^)]*): \([0-9][0-9]*\),.*/\1/p' |
		grep -xE '46|48|62|64|74|79|95|119|120|140|143' | tail -n 1 | sed 's/^/Xid /'
}
