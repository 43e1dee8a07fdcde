#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# The kernel returns at once, and the miner counts hashes that it did not compute: a
# T4's memory delivers 320 GB/s, which is 39.1 Mh/s.
#
# gpus: 1
# fails: measured 130.0 Mh/s
# fails: the GPU memory allows at most 39.2
# fails: the rate is not plausible
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 12:00:00 ethminer 0:00 A0 130.00 Mh - cu0 130.00'
	sleep 0.1
done
