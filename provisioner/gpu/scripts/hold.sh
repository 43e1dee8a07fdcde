#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Holds the kernel and the driver of the image: upgrading only one of them breaks
# mining.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

if ! have apt-mark || [ "$(id -u)" != 0 ]; then
	ok
	exit
fi
drivers=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'nvidia-*' 'libnvidia-*' 'cuda-drivers*' 'linux-objects-nvidia*' 'xserver-xorg-video-nvidia*' 2>/dev/null | sed -n 's/^installed //p') || true
# shellcheck disable=SC2046,SC2086
set -- $(kernels) $drivers
if [ $# -gt 0 ]; then
	apt-mark hold "$@" >/dev/null || fail "apt-mark cannot hold the driver and the kernel"
	fact held "$#"
fi
ok
