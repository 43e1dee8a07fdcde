#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# One of two GPUs has half the rate of the other.
#
# gpus: 2
# option: min_hashrate_per_gpu = "24 Mh/s"
# option: min_hashrate = "30 Mh/s"
# fails: cu1 reached 12.00 Mh/s (50 % of the minimum)
# fails: cu0 25.00 Mh/s, cu1 12.00 Mh/s
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 37.00 Mh - cu0 25.00, cu1 12.00'
	sleep 0.1
done
