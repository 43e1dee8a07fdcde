#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints a rate in Mh.
#
# says: hash rate: 25.25 Mh/s
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 25.25 Mh - cp0 25.25'
	sleep 0.1
done
