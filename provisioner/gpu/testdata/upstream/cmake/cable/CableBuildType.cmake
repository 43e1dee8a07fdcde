# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0

macro(cable_set_build_type keyword default)
    if(NOT CMAKE_BUILD_TYPE)
        set(CMAKE_BUILD_TYPE ${default} CACHE STRING "build type" FORCE)
    endif()
endmacro()
