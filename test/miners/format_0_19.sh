#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints the lines of 0.19, with sensors.
#
# gpus: 2
# says: hash rate: 50.30 Mh/s
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A3:W1 50.30 Mh - cu0 25.20 62C 30% 188.24W, cu1 25.10 57C 49% 51.91W'
	sleep 0.1
done
