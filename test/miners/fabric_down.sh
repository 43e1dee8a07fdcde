#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# GPUs behind NVSwitch without a running nvidia-fabricmanager.
#
# gpus: 8
# fails: the miner exited unexpectedly (exit code 2
# fails: at block 1
# fails: start nvidia-fabricmanager in exactly the driver's version
# fails: CUDA Error : system not yet initialized
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
echo 'CUDA Error : system not yet initialized'
exit 2
