#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# One of four GPUs mines nothing, and the log shows the cause.
#
# gpus: 4
# fails: cu2 mined nothing
# fails: its log shows the cause: the binary was built for another GPU
# fails: on CUDA device 02:00.0
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
echo 'CUDA error in func set_constants at line 110 invalid device symbol on CUDA device 02:00.0'
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 75.00 Mh - cu0 25.00, cu1 25.00, cu2 0.00, cu3 25.00'
	sleep 0.1
done
