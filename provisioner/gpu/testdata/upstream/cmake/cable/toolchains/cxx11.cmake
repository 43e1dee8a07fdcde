# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0

set(CMAKE_CXX_STANDARD 11)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
