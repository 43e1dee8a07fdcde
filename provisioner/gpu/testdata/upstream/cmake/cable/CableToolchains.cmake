# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0

set(cable_toolchains "${CMAKE_CURRENT_LIST_DIR}/toolchains")

# The toolchain file sets the language level as a plain variable, so that a
# -DCMAKE_CXX_STANDARD on the command line has no effect.
macro(cable_configure_toolchain keyword name)
    if(NOT PROJECT_NAME)
        set(CMAKE_TOOLCHAIN_FILE "${cable_toolchains}/${name}.cmake" CACHE FILEPATH "toolchain file")
    endif()
endmacro()
