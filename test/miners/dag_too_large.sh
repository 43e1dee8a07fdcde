#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# The DAG does not fit into the GPU; the process continues at a rate of zero.
#
# gpus: 1
# option: benchmark_start_timeout = "5s"
# fails: the miner reported no hash rate above zero within
# fails: choose a GPU with more memory or a smaller benchmark_block
# fails: This device hasn't enough memory available. Mining suspended
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
echo " X 16:39:20 cuda-0 This device hasn't enough memory available. Mining suspended ..."
while :; do
	echo ' m 16:39:20 ethminer 0:00 A0 0.00 h - cu0 0.00'
	sleep 0.1
done
