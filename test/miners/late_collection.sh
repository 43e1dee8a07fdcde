#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints as upstream does: each collection in five lines, and a late one as zero
# until the next. API requests are logged in between.
#
# gpus: 1
# option: benchmark_duration = "4s"
# says: hash rate: 25.
# says: , 1 late
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
i=0
while :; do
	i=$((i + 1))
	rate=25.$((i % 7))0
	[ $i != 3 ] || rate=0.00
	for _ in 1 2 3 4 5; do
		echo " m 16:39:20 ethminer 0:00 A0 $rate Mh - cu0 $rate"
		echo ' i 16:39:20 ethminer API : Method miner_getstat1 requested'
		sleep 0.1
	done
done
