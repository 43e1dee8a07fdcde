#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints a rate in Gh.
#
# says: hash rate: 1.50 Gh/s
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 1.50 Gh - cp0 1.50'
	sleep 0.1
done
