#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Mines for most of the window, then stops.
#
# option: benchmark_duration = "6s"
# fails: the miner stopped mining
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
start=$(date +%s)
while [ $(($(date +%s) - start)) -lt 4 ]; do
	echo ' m 16:39:20 ethminer 0:00 A0 5.00 Kh - cp0 5.00'
	sleep 0.1
done
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 0.00 h - cp0 0.00'
	sleep 0.1
done
