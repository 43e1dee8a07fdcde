#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# build.sh BINARY [COMMANDS...]
# Builds the configured source, or runs COMMANDS in the source instead, and checks
# that the result contains BINARY.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

binary=$1
shift
[ -z "${NVCC:-}" ] || PATH="${NVCC%/*}:$PATH"

if [ $# -gt 0 ]; then
	cd "$scratch/source"
	n=0
	for command in "$@"; do
		n=$((n + 1))
		sh -c "$command" </dev/null || fail "build_commands[$((n - 1))] ended with exit code $?"
	done
	where=$scratch/source
else
	where=$scratch/build
	# Build only BINARY if the build has a target of that name.
	if cmake --build "$where" --target help | grep -Eq "(^|[ .]+)$binary(:.*)?\$"; then
		cmake --build "$where" --parallel "$(nproc)" --target "$binary" || fail "the source does not compile"
	else
		cmake --build "$where" --parallel "$(nproc)" || fail "the source does not compile"
	fi
fi

found=$(find "$where" -type f -name "$binary" -perm -u+x | head -n 1)
[ -n "$found" ] ||
	fail "the build produced no program $binary" "set binary_name to the name of the program that the source builds"
fact bytes "$(wc -c <"$found" | tr -d ' ')"
ok
