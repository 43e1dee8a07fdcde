// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package reportpage

import (
	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// consoles are the domains of the console, by partition
// (https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html). A
// partition that is missing gets no links.
var consoles = map[string]string{
	"aws":        "console.aws.amazon.com",
	"aws-cn":     "console.amazonaws.cn",
	"aws-us-gov": "console.amazonaws-us-gov.com",
}

// consoleURL returns the address of an image in the EC2 console, "" if the console of
// its partition is unknown.
func consoleURL(name, image string) string {
	domain := consoles[region.Partition(name)]
	if domain == "" || !region.HasSyntax(name) || !artifact.IsImageID(image) {
		return ""
	}
	return "https://" + name + "." + domain + "/ec2/home?region=" + name + "#ImageDetails:imageId=" + image
}
