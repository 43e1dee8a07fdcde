// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package artifact

import "github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"

const imageID = `ami-[0-9a-f]{8,17}`

var (
	wholeImageID = lazyregexp.New(`^` + imageID + `$`)
	anyImageID   = lazyregexp.New(imageID + `\b`)
)

// IsImageID reports whether text has the syntax of an AMI id.
func IsImageID(text string) bool { return wholeImageID.MatchString(text) }

// ImageIDs returns the AMI ids in a text.
func ImageIDs(text string) []string { return anyImageID.FindAllString(text, -1) }
