// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import awscommon "github.com/hashicorp/packer-plugin-amazon/common"

// SourceInfo is packer-plugin-amazon's step that finds the source image.
type SourceInfo struct{ awscommon.StepSourceAMIInfo }

func (*SourceInfo) Facts() (needs, yields []Fact) { return nil, facts(SourceImage) }
