#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# The unit of the rate changes during the run.
#
# says: hash rate: 1.00 Mh/s
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 999.99 Kh - cp0 999.99'
	sleep 0.1
	echo ' m 16:39:20 ethminer 0:00 A0 1.00 Mh - cp0 1.00'
	sleep 0.1
done
