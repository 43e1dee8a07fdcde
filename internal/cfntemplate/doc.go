// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package cfntemplate edits the region map of a CloudFormation template and changes
// no other byte.
//
// A region map is a two-level map in the section Mappings:
//
//	Mappings:
//	  AWSRegion2AMI:          the map
//	    us-east-1:            a row, named after its region
//	      AMI: ami-0123       a cell: the row's attribute AMI
//
// Parse reads a template, JSON or YAML, which it detects by the content. Mapping
// and Read return a map with positions. Apply sets and removes cells and returns
// the new bytes. Fill is Apply with a policy. Update is Fill for an output that
// other builds may already have filled. Cell.HasImage is the only test for an
// image.
//
// The parsers only locate the cells; the edit itself replaces bytes. A new row or
// cell is written in the style of its siblings: indentation, quotes, flow or block,
// spaces around the colon, commas, line ends. Before Apply returns, it parses the
// result again and compares it with the original. Outside the edit every byte must
// be unchanged, and so must every key, value, tag, style and anchor that the edit
// could affect. If anything differs, Apply returns an error and no bytes.
//
// Parsing YAML takes most of the time. So templates whose lines can be read in only
// one way are read line by line (skim, skimRows), and the full parser reads only the
// part that is compared. All other templates are parsed in full.
//
// Ambiguous templates are rejected, with file:line:col and the remedy: duplicate
// keys, several documents, merge keys, rows shared by anchor and alias, transforms,
// functions, foreign tags, and values that span lines. testdata and traps_test.go
// have a case for each; cases from public templates are in internal/command
// (TestMapField).
//
// The package is pure: it reads and returns bytes, and uses neither files nor AWS.
package cfntemplate
