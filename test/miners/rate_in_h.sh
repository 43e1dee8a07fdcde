#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints a rate in h.
#
# says: hash rate: 5.00 h/s
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 5.00 h - cp0 5.00'
	sleep 0.1
done
