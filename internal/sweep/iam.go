// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package sweep

var iamCommands = map[Kind]string{}
