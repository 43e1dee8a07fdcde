# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0

set(CMAKE_CXX_FLAGS "${CMAKE_CXX_FLAGS} -Wall -Wextra -Wno-unknown-pragmas -pedantic -Wno-error=parentheses")
find_package(Threads)
