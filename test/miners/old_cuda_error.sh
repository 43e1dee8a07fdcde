#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# 0.12 to 0.14: the kernel can no longer be started, and the rate rises.
#
# option: benchmark_duration = "4s"
# fails: a device failed
# fails: Error CUDA mining: unspecified launch failure
[ "$1" != -V ] || { echo "ethminer 0.14.0" && exit; }
i=0
rate=25.00
while :; do
	i=$((i + 1))
	[ $i != 20 ] || { echo '  X  12:00:00|CUDA0     Error CUDA mining: unspecified launch failure' && rate=37.00; }
	echo "  m  12:00:00|main      Speed  $rate Kh/s    gpu/0 $rate  [A0+0:R0+0:F0] Time: 00:01"
	sleep 0.1
done
