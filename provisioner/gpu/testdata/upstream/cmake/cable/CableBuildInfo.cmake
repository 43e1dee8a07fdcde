# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0

set(cable_buildinfo_dir "${CMAKE_CURRENT_LIST_DIR}/buildinfo")

# A library of generated C: the version, with the commit where git has one.
function(cable_add_buildinfo_library keyword name)
    set(commit "")
    find_package(Git QUIET)
    if(GIT_FOUND AND EXISTS "${PROJECT_SOURCE_DIR}/.git")
        execute_process(COMMAND ${GIT_EXECUTABLE} -C "${PROJECT_SOURCE_DIR}" describe --always --abbrev=8 --dirty=.dirty
            OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
        set(commit "+commit.${commit}")
    endif()
    set(version "${PROJECT_VERSION}${commit}")
    set(dir "${CMAKE_BINARY_DIR}/${name}")
    configure_file("${cable_buildinfo_dir}/buildinfo.h.in" "${dir}/buildinfo.h")
    configure_file("${cable_buildinfo_dir}/buildinfo.cpp.in" "${dir}/buildinfo.cpp")
    add_library(${name}-buildinfo STATIC "${dir}/buildinfo.cpp" "${dir}/buildinfo.h")
    target_include_directories(${name}-buildinfo INTERFACE "${CMAKE_BINARY_DIR}")
endfunction()
