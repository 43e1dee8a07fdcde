#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# A kernel fails during the warm-up, but the total rate is steady afterwards.
#
# option: benchmark_warmup = "2s"
# fails: a device failed
# fails: GPU error: CUDA error in func 'search' at line 301
[ "$1" != -V ] || { echo "ethminer 0.17.0" && exit; }
echo ' m 16:39:20 ethminer 0:00 A0 5.00 Kh - cp0 5.00'
sleep 0.5
echo "  X  12:00:00|cuda-0    GPU error: CUDA error in func 'search' at line 301 unspecified launch failure"
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 6.00 Kh - cp0 6.00'
	sleep 0.1
done
