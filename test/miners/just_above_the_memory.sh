#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Four T4 that together report slightly more than their memory delivers.
#
# gpus: 4
# fails: measured 160.0 Mh/s
# fails: the GPU memory allows at most 156.
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' m 12:00:00 ethminer 0:00 A0 160.00 Mh - cu0 40.00, cu1 40.00, cu2 40.00, cu3 40.00'
	sleep 0.1
done
