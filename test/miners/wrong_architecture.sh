#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Was built for another GPU: the kernel does not start, and the process continues
# at a rate of zero.
#
# gpus: 1
# option: benchmark_start_timeout = "5s"
# fails: the miner reported no hash rate above zero within
# fails: the binary was built for another GPU: remove -DCOMPUTE
# fails: invalid device symbol on CUDA device 01:00.0
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
echo 'CUDA error in func set_constants at line 110 invalid device symbol on CUDA device 01:00.0'
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 0.00 h - cu0 0.00'
	sleep 0.1
done
