#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# membench.sh build NVCC HOST_COMPILER CAPABILITIES...
# membench.sh run BYTES SECONDS
# Compiles and runs membench.cu, which measures the GPUs' memory bandwidth. A failed
# measurement is not an error: the data sheet's figure is used instead.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

mode=$1
shift
case $mode in
build)
	nvcc=$1 host=$2
	shift 2
	for capability in "$@"; do
		shift
		set -- "$@" -gencode "arch=compute_$capability,code=sm_$capability"
	done
	[ -z "$host" ] || set -- "$@" -ccbin "$host"
	"$nvcc" -O3 -std=c++14 "$@" -o "$scratch/membench" "$WORK/membench.cu" || fact without "nvcc cannot compile the test program"
	;;
run)
	if [ -x "$scratch/membench" ]; then
		CUDA_DEVICE_ORDER=PCI_BUS_ID "$scratch/membench" "$@" >"$WORK/membench.out" || fact without "the test program failed on this GPU"
		while read -r word _ rate; do
			[ "$word" != gpu ] || fact memory "$rate"
		done <"$WORK/membench.out"
		rm -f "$WORK/membench.out"
	fi
	;;
esac
ok
