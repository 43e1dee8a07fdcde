#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# The driver is older than the toolkit that the miner was built with.
#
# gpus: 1
# fails: the miner exited unexpectedly (exit code 2
# fails: at block 1
# fails: the driver is older than the CUDA toolkit: install a newer driver
# fails: CUDA Error : Insufficient CUDA driver 9010
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
echo 'CUDA Error : Insufficient CUDA driver 9010'
exit 2
