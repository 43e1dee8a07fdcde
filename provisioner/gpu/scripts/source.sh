#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# source.sh git URL REF
# source.sh tarball URL SHA256, or an empty URL for $WORK/source.tar
# source.sh folder, for $WORK/source.tar
# Puts the source into $scratch/source.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

rm -rf "$scratch/source"
mkdir -p "$scratch/source" || fail "cannot write to $scratch"
cd "$scratch/source"

# fetch_git URL REF
fetch_git() {
	url=$1 ref=$2
	# Never prompt for a password, and give up when nothing arrives for a minute.
	export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="ssh -o BatchMode=yes"
	export GIT_HTTP_LOW_SPEED_LIMIT=1000 GIT_HTTP_LOW_SPEED_TIME=60
	git init -q .
	git remote add origin "$url"
	# Some servers do not serve single commits; then fetch all.
	git fetch -q --depth 1 origin "$ref" && ref=FETCH_HEAD || git fetch -q --tags origin ||
		fail "git cannot fetch from source" "check that the URL is correct and that the instance can reach it without a password"
	git -c advice.detachedHead=false checkout -q "$ref" -- ||
		fail "source has no commit $2" "set source_ref to a commit of that repository"
	commit=$(git rev-parse HEAD)
	if [ "${#2}" = 40 ] && [ "$commit" != "$2" ]; then
		fail "git checked out $commit, expected $2" "set source_ref to a full commit hash"
	fi
	git submodule --quiet update --init --recursive --depth 1 ||
		git submodule --quiet update --init --recursive ||
		fail "git cannot fetch the source's submodules" "check that the instance can reach every URL in .gitmodules"
	# A prefix other than a blank: missing, another commit, or a conflict.
	if git submodule status --recursive | grep '^[^ ]'; then
		fail "a submodule is not at the commit that source records" "see the lines above; remove local changes in the submodules"
	fi
	fact commit "$commit"
	# shellcheck disable=SC2016 # git expands it
	git submodule --quiet foreach --recursive 'echo "@fact submodule $displaypath $(git rev-parse HEAD)"'
}

# unpack_tarball URL SHA256
unpack_tarball() {
	if [ -n "$1" ]; then
		curl -fsSL --retry 3 --speed-limit 1000 --speed-time 60 -o "$scratch/source.tar" -- "$1" ||
			fail "curl cannot fetch source" "check that the URL is correct and that the instance can reach it"
	else
		mv "$WORK/source.tar" "$scratch/source.tar"
	fi
	sum=$(sha256sum "$scratch/source.tar")
	[ "${sum%% *}" = "$2" ] ||
		fail "source has the SHA-256 ${sum%% *}, expected source_checksum $2" "check whether the file was changed; set source_checksum to the sum of the file that you verified"
	unpack "$scratch/source.tar"
	# Most tarballs contain a single folder.
	top=$(find . -mindepth 1 -maxdepth 1)
	if [ ! -f CMakeLists.txt ] && [ -d "$top" ]; then
		mv "$top" ../unpacked
		cd ..
		rmdir source
		mv unpacked source
		cd source
	fi
}

unpack() {
	unpack_here "$1" ||
		fail "source cannot be unpacked" "check that it is a tar archive, and that the instance has tar, the decompressor and free space in $scratch"
	rm -f "$1"
}

case $1 in
git) fetch_git "$2" "$3" ;;
tarball) unpack_tarball "$2" "$3" ;;
folder) unpack "$WORK/source.tar" ;;
esac

[ -f CMakeLists.txt ] || [ "${OWN_BUILD:-no}" = yes ] ||
	fail "source has no CMakeLists.txt in its top folder" "set source to the repository or folder of the miner itself"
fact files "$(find . -name .git -prune -o -type f -print | wc -l | tr -d ' ')"
ok
