#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints truncated and interleaved lines between valid ones.
#
# says: hash rate: 25.25 Mh/s
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 25.25 Mh - cp0 25.25'
	sleep 0.1
	echo ' m 16:39:20 ethminer 0:00 A0 25.'
	sleep 0.1
	echo ' m 16:39:20 ethminer 0:00 A0 25.25 Mi 16:39:20 main **Acc'
	sleep 0.1
	echo ' m 16:39:20 ethminer 0:00 A0 25.25 Mh - cp0 25.25 i 16:39:20 job'
	sleep 0.1
done
