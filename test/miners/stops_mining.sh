#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Mines at first, then stops.
#
# fails: measured 0.00 h/s
# fails: expected a rate above zero
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
echo ' m 16:39:20 ethminer 0:00 A0 5.00 h - cp0 5.00'
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 0.00 h - cp0 0.00'
	sleep 0.1
done
