#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# dependencies.sh [NAME PACKAGE URL ALGORITHM HASH]...
# Unpacks into $scratch/deps/NAME each library that the source asks CMake for
# as PACKAGE, after its hash was checked.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

mkdir -p "$scratch/deps"
while [ $# -ge 5 ]; do
	name=$1 package=$2 url=$3 algorithm=$4 hash=$5
	shift 5
	grep -Eqi "^[[:space:]]*find_package\\(${package}[ )]" "$scratch/source/CMakeLists.txt" 2>/dev/null || continue
	curl -fsSL --retry 3 --speed-limit 1000 --speed-time 60 -o "$scratch/deps/$name.tar" -- "$url" ||
		fail "curl cannot fetch $url, which the source needs" "see that the instance reaches it (route, security group, DNS)"
	sum=$("${algorithm}sum" "$scratch/deps/$name.tar")
	[ "${sum%% *}" = "$hash" ] ||
		fail "$url has the $algorithm hash ${sum%% *}, expected $hash" "it is not what it was when this plugin was made: do not use it until you know why"
	rm -rf "$scratch/deps/$name"
	mkdir "$scratch/deps/$name"
	tar -xf "$scratch/deps/$name.tar" -C "$scratch/deps/$name" --strip-components 1 ||
		fail "$url cannot be unpacked"
	rm -f "$scratch/deps/$name.tar"
	fact dependency "$name $algorithm:$hash $url"
done
ok
