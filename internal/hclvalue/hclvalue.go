// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package hclvalue defines the values that Packer substitutes for configuration
// values.
package hclvalue

// Unknown is the value that Packer passes during validation for a string that is
// known only during the build, such as one from a data source.
const Unknown = "<unknown>"
