#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# The GPU computes incorrectly.
#
# fails: solutions were incorrect
# fails: lower its clocks or replace the instance
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do
	echo ' X 16:39:20 cuda-0 GPU 0 gave incorrect result. Lower overclocking values if it happens frequently.'
	sleep 0.1
	echo ' m 16:39:20 ethminer 0:00 A0 5.00 Mh - cu0 5.00'
	sleep 0.1
done
