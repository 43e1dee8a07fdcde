// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2api

import awscommon "github.com/hashicorp/packer-plugin-amazon/common"

// AccessConfig and AMIConfig have the options of amazon-ebs's and none of their
// methods: those lead to one that makes the SDK's client of EC2, which would
// then be in the binary with all of its actions (see EC2).
type (
	AccessConfig awscommon.AccessConfig
	AMIConfig    awscommon.AMIConfig
)

// Access and AMI are the same with amazon-ebs's methods. They are no methods
// themselves, for the same reason.
func Access(o *AccessConfig) *awscommon.AccessConfig { return (*awscommon.AccessConfig)(o) }
func AMI(o *AMIConfig) *awscommon.AMIConfig          { return (*awscommon.AMIConfig)(o) }
