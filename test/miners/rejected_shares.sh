#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Mines on the wrong DAG.
#
# fails: solutions were rejected
# fails: wrong DAG or algorithm
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' X 16:39:20 main **Rejected   1 ms. localhost:0'
	sleep 0.1
	echo ' m 16:39:20 ethminer 0:00 A0:R1 5.00 Kh - cp0 5.00'
	sleep 0.1
done
