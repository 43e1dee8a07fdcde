// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package cfntemplate edits the region map of a CloudFormation template without
// changing another byte.
//
// A region map is a two-level map in the section Mappings:
//
//	Mappings:
//	  AWSRegion2AMI:          the map
//	    us-east-1:            a row, named by its region
//	      AMI: ami-0123       a cell: the row's attribute AMI
//
// Parse reads a template (JSON or YAML, told apart by content), Mapping reports
// a map with positions, Apply sets and removes cells and returns the new bytes.
//
// The parsers only say where things are; the edit itself is a splice of bytes.
// A new row or cell is written as its siblings are: indentation, quotes, flow or
// block, the room around the colon, commas, line ends. Before Apply returns, the
// result is parsed again and compared with the original: outside the spliced
// spans every byte, and in all that the edit can reach every key, value, tag,
// style and anchor, must be what it was. If anything differs, Apply returns an
// error and no bytes.
//
// A YAML parse costs most of a round trip. Templates whose lines leave no choice
// of how to read them are therefore read by line (skim, skimRows), and the full
// parser reads only what the proof needs; any other template is parsed whole.
//
// What cannot be edited without a guess is refused, with file:line:col and the
// remedy: duplicate keys, several documents, merge keys, rows shared by anchor
// and alias, rows that a transform includes from elsewhere, values that span
// lines. testdata and template_test.go hold a case for each.
//
// The package is pure: bytes in, bytes out. It knows neither files nor AWS.
package cfntemplate
