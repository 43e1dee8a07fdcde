#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Exits with code 0 during the measurement.
#
# option: benchmark_duration = "30s"
# fails: the miner exited unexpectedly (exit code 0
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
echo ' m 16:39:20 ethminer 0:00 A1 5.00 Kh - cp0 5.00'
sleep 0.3
exit 0
