#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints nothing.
#
# option: benchmark_start_timeout = "1s"
# fails: the miner reported no hash rate above zero within
# fails: (benchmark_start_timeout 1s)
# fails: the miner printed nothing
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
while :; do sleep 0.1; done
