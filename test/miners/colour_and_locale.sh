#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Prints colors despite --nocolor, and numbers formatted for a locale.
#
# says: hash rate: 1.23 Gh/s
[ "$1" != -V ] || { echo "ethminer 0.19.0" && exit; }
esc=$(printf '\033')
while :; do
	echo "${esc}[32m m ${esc}[0m16:39:20 ethminer 0:00 A0 ${esc}[36m1.234,56 Mh${esc}[0m - cp0 1.234,56"
	sleep 0.1
done
