// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"os"
	"strconv"

	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/common"
)

// AccessConfig has amazon-ebs's access options without its methods. They create the
// SDK's EC2 client, which would add all EC2 actions to the binary (see EC2).
type AccessConfig awscommon.AccessConfig

// AMIConfig has amazon-ebs's image options without its methods, as AccessConfig.
type AMIConfig awscommon.AMIConfig

// Access converts AccessConfig to amazon-ebs's type with its methods. It is not a
// method, for the same reason.
func Access(o *AccessConfig) *awscommon.AccessConfig { return (*awscommon.AccessConfig)(o) }

// Prepare checks the options and fills in defaults, as amazon-ebs does. Unlike there,
// AWS_MAX_ATTEMPTS is the default of max_retries: it is the SDK's variable for the
// number of attempts of a request.
func Prepare(o *AccessConfig, p *common.PackerConfig) []error {
	if n, err := strconv.Atoi(os.Getenv("AWS_MAX_ATTEMPTS")); err == nil && n > 0 && o.MaxRetries == 0 {
		o.MaxRetries = n
	}
	return Access(o).Prepare(p)
}
