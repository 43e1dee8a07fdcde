// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// regionSyntax is what every region's name has looked like so far, the
// partitions' included: us-east-1, us-gov-west-1, cn-north-1, eusc-de-east-1.
// There is no list of names here: AWS adds regions.
var regionSyntax = lazyregexp.New(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`)

// unknown is what Packer passes to Prepare for a value that it cannot know at
// validate time, such as a data source's.
const unknown = "<unknown>"

// RegionSyntax says what is wrong with a region's name, without asking AWS.
func RegionSyntax(attribute, region string) error {
	if region == unknown || regionSyntax.MatchString(region) {
		return nil
	}
	return fmt.Errorf("%s: %q is no region name; expected one such as \"us-east-1\" or \"eu-central-1\"", attribute, region)
}
