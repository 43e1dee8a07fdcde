#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Reports whether the source supports Etchash (ECIP-1099), or is ethminer's and can
# be edited to.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

cd "$scratch/source"
if grep -rqiE --include='*.cpp' --include='*.h' --include='*.hpp' --include='*.cu' --include='CMakeLists.txt' 'etchash|ecip-?1099' .; then
	fact etchash known
elif [ -f libpoolprotocols/PoolManager.cpp ]; then
	fact etchash editable
else
	fact etchash unknown
fi
ok
