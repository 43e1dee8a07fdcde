# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0

option(HUNTER_ENABLED "Fetch libraries through Hunter" ON)

macro(HunterGate)
    if(HUNTER_ENABLED)
        message(FATAL_ERROR "Hunter's host of Boost 1.66.0 is gone: configure with -DHUNTER_ENABLED=OFF")
    endif()
endmacro()

macro(hunter_add_package)
endmacro()
