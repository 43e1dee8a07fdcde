#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints the lines of 0.12.
#
# says: hash rate: 25.25 Mh/s
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 15:28:33 main     Speed 25.25 Mh/s gpu0 25.25 [A90+6] Time: 13:58'
	sleep 0.1
done
