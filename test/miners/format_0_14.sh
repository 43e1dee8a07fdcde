#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints the lines of 0.14.
#
# says: hash rate: 319.9 Mh/s
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo '  m  18:45:25|ethminer|  Speed 319.85 Mh/s    gpu/0 160.00  gpu/1 159.85  [A203+3:R0+0:F0] Time: 00:40'
	sleep 0.1
done
