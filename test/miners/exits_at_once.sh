#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Finds no device to mine on.
#
# fails: the miner exited unexpectedly (exit code 2
# fails: at block 1, epoch 0, a DAG of 1.00 GiB
# fails: the miner finds no device of this kind
# fails: Error: No usable mining devices found
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
echo 'Error: No usable mining devices found'
exit 2
