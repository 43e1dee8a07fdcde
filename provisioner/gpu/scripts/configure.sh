#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# configure.sh CMAKE_OPTIONS...
# Configures $scratch/source in $scratch/build; builds the libraries of
# $scratch/deps first.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

[ -z "${NVCC:-}" ] || PATH="${NVCC%/*}:$PATH"
generator=
! have ninja || generator=Ninja

for dependency in "$scratch"/deps/*/; do
	[ -f "$dependency/CMakeLists.txt" ] || continue
	name=${dependency%/}
	name=${name##*/}
	# CMake 4 has no policies older than 3.5. The libraries define their own
	# options for skipping tests and examples.
	set_up() {
		cmake -S "$dependency" -B "$scratch/deps-build/$name" ${generator:+-G "$generator"} \
			-DCMAKE_BUILD_TYPE=Release -DHUNTER_ENABLED=OFF -DCMAKE_POLICY_VERSION_MINIMUM=3.5 \
			-DETHASH_BUILD_TESTS=OFF -DCLI11_BUILD_TESTS=OFF -DCLI11_BUILD_EXAMPLES=OFF -DCLI11_SINGLE_FILE=OFF \
			-DBUILD_TESTING=OFF -DCMAKE_INSTALL_PREFIX="$scratch/prefix" </dev/null
	}
	{ set_up && cmake --build "$scratch/deps-build/$name" --parallel "$(nproc)" --target install; } ||
		fail "the library $name, which the source requires, does not build"
done

rm -rf "$scratch/build"
mkdir "$scratch/build"
cmake -S "$scratch/source" -B "$scratch/build" ${generator:+-G "$generator"} \
	-DCMAKE_POLICY_VERSION_MINIMUM=3.5 -DCMAKE_PREFIX_PATH="$scratch/prefix" "$@" </dev/null ||
	fail "cmake cannot configure the source"
ok
