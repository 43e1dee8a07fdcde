#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# dependencies.sh [NAME URL ALGORITHM HASH]...
# Downloads each library, checks its hash, and unpacks it into $scratch/deps/NAME.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

mkdir -p "$scratch/deps"
while [ $# -ge 4 ]; do
	name=$1 url=$2 algorithm=$3 hash=$4
	shift 4
	curl -fsSL --retry 3 --speed-limit 1000 --speed-time 60 -o "$scratch/deps/$name.tar" -- "$url" ||
		fail "curl cannot fetch $url, which the source requires" "check that the instance can reach it (route, security group, DNS)"
	sum=$("${algorithm}sum" "$scratch/deps/$name.tar")
	[ "${sum%% *}" = "$hash" ] ||
		fail "$url has the $algorithm hash ${sum%% *}, expected $hash" "the file has changed since this plugin was released: do not use it until you know why"
	rm -rf "$scratch/deps/$name"
	mkdir "$scratch/deps/$name"
	(cd "$scratch/deps/$name" && unpack_here "$scratch/deps/$name.tar" --strip-components 1) ||
		fail "$url cannot be unpacked"
	rm -f "$scratch/deps/$name.tar"
	fact dependency "$name $algorithm:$hash $url"
done
ok
