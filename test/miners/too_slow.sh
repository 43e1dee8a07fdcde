#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Mines below min_hashrate.
#
# option: min_hashrate = "25 Mh/s"
# fails: measured 5.00 Mh/s (20 % of the minimum)
# fails: expected min_hashrate 25.00 Mh/s or more on CPU: 
# fails: lower min_hashrate
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 5.00 Mh - cp0 5.00'
	sleep 0.1
done
