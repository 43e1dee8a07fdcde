#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# One of two GPUs drops out of the lines before the end of the window.
#
# gpus: 2
# option: benchmark_duration = "6s"
# fails: cu1 stopped mining: it reached 25.00 Mh/s
# fails: nothing at the end
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
start=$(date +%s)
while [ $(($(date +%s) - start)) -lt 4 ]; do
	echo ' m 16:39:20 ethminer 0:00 A0 50.00 Mh - cu0 25.00, cu1 25.00'
	sleep 0.1
done
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 25.00 Mh - cu0 25.00'
	sleep 0.1
done
