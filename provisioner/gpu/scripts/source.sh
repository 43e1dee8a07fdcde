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
	# Never ask for a password: nobody is there to answer. Give up when nothing
	# comes for a minute.
	export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="ssh -o BatchMode=yes"
	export GIT_HTTP_LOW_SPEED_LIMIT=1000 GIT_HTTP_LOW_SPEED_TIME=60
	git init -q .
	git remote add origin "$url"
	# Not every server hands out a single commit; then fetch all.
	git fetch -q --depth 1 origin "$ref" && ref=FETCH_HEAD || git fetch -q --tags origin ||
		fail "git cannot fetch from source" "see that the URL is right, the instance reaches it and needs no password there"
	git -c advice.detachedHead=false checkout -q "$ref" -- ||
		fail "source has no commit $2" "give source_ref a commit of that repository"
	commit=$(git rev-parse HEAD)
	if [ "${#2}" = 40 ] && [ "$commit" != "$2" ]; then
		fail "git checked out $commit, expected $2" "give source_ref a full commit"
	fi
	git submodule --quiet update --init --recursive --depth 1 ||
		git submodule --quiet update --init --recursive ||
		fail "git cannot fetch the source's submodules" "see that the instance reaches every URL in .gitmodules"
	# A sign other than a blank: absent, another commit, or a conflict.
	if git submodule status --recursive | grep '^[^ ]'; then
		fail "a submodule is not at the commit that source names" "see the lines above; remove local changes of the submodules"
	fi
	fact commit "$commit"
	# shellcheck disable=SC2016 # git expands it
	git submodule --quiet foreach --recursive 'echo "@fact submodule $displaypath $(git rev-parse HEAD)"'
}

# unpack_tarball URL SHA256
unpack_tarball() {
	if [ -n "$1" ]; then
		curl -fsSL --retry 3 --speed-limit 1000 --speed-time 60 -o "$scratch/source.tar" -- "$1" ||
			fail "curl cannot fetch source" "see that the URL is right and the instance reaches it"
	else
		mv "$WORK/source.tar" "$scratch/source.tar"
	fi
	sum=$(sha256sum "$scratch/source.tar")
	[ "${sum%% *}" = "$2" ] ||
		fail "source has the SHA-256 ${sum%% *}, expected source_checksum $2" "see whether the file was changed; give source_checksum what you have checked"
	unpack "$scratch/source.tar"
	# Most tarballs hold one folder.
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
	tar -xf "$1" ||
		fail "source cannot be unpacked" "see that it is a tar archive, and that the instance has tar, its compressor and free space in $scratch"
	rm -f "$1"
}

case $1 in
git) fetch_git "$2" "$3" ;;
tarball) unpack_tarball "$2" "$3" ;;
folder) unpack "$WORK/source.tar" ;;
esac

[ -f CMakeLists.txt ] || [ "${OWN_BUILD:-no}" = yes ] ||
	fail "source has no CMakeLists.txt at its top" "name the repository or folder of the miner itself"
fact files "$(find . -name .git -prune -o -type f -print | wc -l | tr -d ' ')"
ok
