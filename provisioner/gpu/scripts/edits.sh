#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# edits.sh [TREE NAME ISSUE OLD NEW DONE LEFT MUST COUNT FILES...]...
# Applies guarded edits to the source (see internal/edits), and says where each
# applied. Then applies $WORK/patches/*.patch, the user's own.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

# replace FILE OLD NEW: every OLD by NEW, both literal; fails without an OLD.
replace() {
	OLD=$2 NEW=$3 awk '
		BEGIN { RS = "\003"; old = ENVIRON["OLD"]; new = ENVIRON["NEW"] }
		{
			text = $0
			while ((i = index(text, old)) > 0) {
				printf "%s%s", substr(text, 1, i - 1), new
				text = substr(text, i + length(old))
				n++
			}
			printf "%s", text
		}
		END { exit n ? 0 : 1 }
	' "$1" >"$scratch/edited" || return 1
	# Not mv: the file keeps its mode.
	cat "$scratch/edited" >"$1"
	rm -f "$scratch/edited"
}

while [ $# -gt 0 ]; do
	tree=$1 name=$2 issue=$3 old=$4 new=$5 done=$6 left=$7 must=$8 count=$9
	shift 9
	case $tree in
	ethash) cd "$scratch/deps/ethash" 2>/dev/null || cd "$scratch/source" ;;
	*) cd "$scratch/source" ;;
	esac
	applied="" mended=""
	while [ "$count" -gt 0 ]; do
		count=$((count - 1))
		# The shell's wildcards are what a pattern is for.
		for file in $1; do
			[ -f "$file" ] || continue
			if [ -n "$done" ] && grep -qF -- "$done" "$file"; then
				mended=yes
				continue
			fi
			if replace "$file" "$old" "$new"; then
				applied=yes
				echo "edit $name: $file ($issue)"
				fact edit "$name $file $issue"
			fi
			if [ -n "$left" ] && grep -nE -- "$left" "$file"; then
				fail "edit $name: $file has the construct in a form that is not known ($issue)" "name a source that has a remedy of its own, or one more of your patches; leave this edit out with skip_edits = [\"$name\"]"
			fi
		done
		shift
	done
	if [ "$must" = true ] && [ -z "$applied$mended" ]; then
		fail "edit $name should have applied and did not: no file has the construct that it is for ($issue)" "name a source that has a remedy of its own, and leave this edit out with skip_edits = [\"$name\"]"
	fi
done

cd "$scratch/source"
for patch in "$WORK"/patches/*.patch; do
	[ -f "$patch" ] || continue
	patch --batch --forward -p1 <"$patch" ||
		fail "patch ${patch##*/} does not apply" "patches are applied in their order with: patch -p1"
	fact edit "patch ${patch##*/}"
done
ok
