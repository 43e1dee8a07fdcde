#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# edits.sh [TREE NAME ISSUE OLD NEW DONE LEFT MUST COUNT FILES...]...
# Applies guarded edits to the source (see internal/minerpatch) and prints where each
# applied. Then applies the user's patches, $WORK/patches/*.patch.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

# replace FILE OLD NEW: replaces every OLD, both literal; fails if there is none.
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
	# Not mv, to keep the file's mode.
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
	applied="" fixed=""
	while [ "$count" -gt 0 ]; do
		count=$((count - 1))
		# Unquoted: the shell expands wildcards.
		for file in $1; do
			[ -f "$file" ] || continue
			if [ -n "$done" ] && grep -qF -- "$done" "$file"; then
				fixed=yes
				continue
			fi
			if replace "$file" "$old" "$new"; then
				applied=yes
				echo "edit $name: $file ($issue)"
				fact edit "$name $file $issue"
			fi
			if [ -n "$left" ] && grep -nE -- "$left" "$file"; then
				fail "edit $name: $file has the construct in an unknown form ($issue)" "use a source that already has a fix, or add a patch, and skip this edit with skip_edits = [\"$name\"]"
			fi
		done
		shift
	done
	if [ "$must" = true ] && [ -z "$applied$fixed" ]; then
		fail "edit $name did not apply: no file has the construct that it replaces ($issue)" "use a source that already has a fix, and skip this edit with skip_edits = [\"$name\"]"
	fi
done

cd "$scratch/source"
for patch in "$WORK"/patches/*.patch; do
	[ -f "$patch" ] || continue
	patch --batch --forward -p1 <"$patch" ||
		fail "patch ${patch##*/} does not apply" "patches are applied in order with: patch -p1"
	fact edit "patch ${patch##*/}"
done
ok
