#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# A GPU fails during the measurement; the others continue.
#
# option: benchmark_duration = "6s"
# fails: a device failed
# fails: out of memory on CUDA device 01:00.0
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
start=$(date +%s)
while [ $(($(date +%s) - start)) -lt 4 ]; do
	echo ' m 16:39:20 ethminer 0:00 A0 5.00 Kh - cp0 5.00'
	sleep 0.1
done
echo 'CUDA error in func search at line 301 out of memory on CUDA device 01:00.0'
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 4.00 Kh - cp0 4.00'
	sleep 0.1
done
