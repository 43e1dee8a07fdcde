#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# build.sh BINARY CMAKE_OPTIONS...
# Configures and builds $WORK/source in $WORK/build and says where BINARY is.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

binary=$1
shift
rm -rf "$WORK/build"
mkdir "$WORK/build"

if have ninja; then
	set -- -G Ninja "$@"
fi
[ -z "${NVCC:-}" ] || PATH="${NVCC%/*}:$PATH"

cmake -S "$WORK/source" -B "$WORK/build" "$@" </dev/null ||
	fail "cmake cannot configure the source"

# Only what is needed, if the build names it as its binary.
if cmake --build "$WORK/build" --target help | grep -Eq "(^|[ .]+)$binary(:.*)?\$"; then
	cmake --build "$WORK/build" --parallel "$(nproc)" --target "$binary" || fail "the source does not compile"
else
	cmake --build "$WORK/build" --parallel "$(nproc)" || fail "the source does not compile"
fi

found=$(find "$WORK/build" -type f -name "$binary" -perm -u+x | head -n 1)
[ -n "$found" ] ||
	fail "the build made no program $binary" "set binary_name to the name of the program that the source builds"
fact binary "$found"
fact bytes "$(wc -c <"$found" | tr -d ' ')"
ok
