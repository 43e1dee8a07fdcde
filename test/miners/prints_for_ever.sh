#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints continuously at full speed.
#
# says: hash rate: 5.00 Kh/s
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A1 5.00 Kh - cp0 5.00'
done
