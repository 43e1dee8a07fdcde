#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# The rate fluctuates.
#
# option: max_variation = 0.1
# fails: which varies by 
# fails: expected max_variation 0.1 or less
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 5.00 Kh - cp0 5.00'
	sleep 0.1
	echo ' m 16:39:20 ethminer 0:00 A0 1.00 Kh - cp0 1.00'
	sleep 0.1
done
