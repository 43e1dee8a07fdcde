# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0

list(APPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}" "${CMAKE_CURRENT_LIST_DIR}/..")
