#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# One of four GPUs is missing in the miner's output.
#
# gpus: 4
# fails: the instance has 4 GPUs
# fails: names only cu0, cu1, cu2
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 75.00 Mh - cu0 25.00, cu1 25.00, cu2 25.00'
	sleep 0.1
done
