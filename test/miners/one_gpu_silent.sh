#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# One of four GPUs mines nothing.
#
# gpus: 4
# fails: cu2 mined nothing, while all devices together reached 75.00 Mh/s
# fails: expected every device to mine
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 75.00 Mh - cu0 25.00, cu1 25.00, cu2 0.00, cu3 25.00'
	sleep 0.1
done
