#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Reports each find_package call of the source, name and arguments, on one line.
# All folders count: upstream looks for CLI11 and OpenSSL below the top.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

cd "$scratch/source"
# A call may span lines, and a comment may contain one.
find . -name .git -prune -o \( -name CMakeLists.txt -o -name '*.cmake' \) -type f -print | LC_ALL=C sort | while IFS= read -r file; do
	sed 's/#.*//' "$file" | tr '\r\n\t' '   ' |
		grep -Eio 'find_package[[:space:]]*\([^)]*\)' |
		sed -E 's/^[^(]*\([[:space:]]*//; s/[[:space:]]*\)$//; s/[[:space:]]+/ /g'
done | LC_ALL=C sort -u | while IFS= read -r call; do
	fact requires "$call"
done
ok
