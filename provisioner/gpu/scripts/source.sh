#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# source.sh URL COMMIT, or source.sh without arguments for $WORK/source.tar.gz
# Puts the source into $WORK/source.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

rm -rf "$WORK/source"
mkdir "$WORK/source"
cd "$WORK/source"

if [ $# -eq 0 ]; then
	tar -xzf "$WORK/source.tar.gz" ||
		fail "the uploaded source cannot be unpacked" "see that the instance has tar, gzip and free space in $WORK"
	rm -f "$WORK/source.tar.gz"
else
	url=$1 commit=$2
	# Never ask for a password: nobody is there to answer.
	export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND="ssh -o BatchMode=yes"
	git init -q .
	git remote add origin "$url"
	# Not every server hands out a single commit; then fetch all.
	git fetch -q --depth 1 origin "$commit" || git fetch -q --tags origin ||
		fail "git cannot fetch from source" "see that the URL is right, the instance reaches it and needs no password there"
	git -c advice.detachedHead=false checkout -q "$commit" -- ||
		fail "source has no commit $commit" "give source_ref a commit of that repository"
	[ "$(git rev-parse HEAD)" = "$commit" ] ||
		fail "git checked out $(git rev-parse HEAD), expected $commit" "give source_ref a full commit"
	git submodule --quiet update --init --recursive --depth 1 ||
		fail "git cannot fetch the source's submodules" "see that the instance reaches every URL in .gitmodules"
fi

[ -f CMakeLists.txt ] ||
	fail "source has no CMakeLists.txt at its top" "name the repository or folder of the miner itself"
fact files "$(find . -name .git -prune -o -type f -print | wc -l | tr -d ' ')"
ok
