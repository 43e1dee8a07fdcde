// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package catalog

import (
	"strconv"
	"strings"
)

// Region is a region and the letters of its zones.
type Region struct {
	Name, Zones string
	OptIn       bool
}

// Regions lists the commercial regions and the letters of their zones, as of 2026. A
// new account cannot use regions with OptIn.
var Regions = []Region{
	{"af-south-1", "abc", true},
	{"ap-east-1", "abc", true},
	{"ap-east-2", "abc", true},
	{"ap-northeast-1", "acd", false},
	{"ap-northeast-2", "abcd", false},
	{"ap-northeast-3", "abc", false},
	{"ap-south-1", "abc", false},
	{"ap-south-2", "abc", true},
	{"ap-southeast-1", "abc", false},
	{"ap-southeast-2", "abc", false},
	{"ap-southeast-3", "abc", true},
	{"ap-southeast-4", "abc", true},
	{"ap-southeast-5", "abc", true},
	{"ap-southeast-6", "abc", true},
	{"ap-southeast-7", "abc", true},
	{"ca-central-1", "abd", false},
	{"ca-west-1", "abc", true},
	{"eu-central-1", "abc", false},
	{"eu-central-2", "abc", true},
	{"eu-north-1", "abc", false},
	{"eu-south-1", "abc", true},
	{"eu-south-2", "abc", true},
	{"eu-west-1", "abc", false},
	{"eu-west-2", "abc", false},
	{"eu-west-3", "abc", false},
	{"il-central-1", "abc", true},
	{"me-central-1", "abc", true},
	{"me-south-1", "abc", true},
	{"mx-central-1", "abc", true},
	{"sa-east-1", "abc", false},
	{"us-east-1", "abcdef", false},
	{"us-east-2", "abc", false},
	{"us-west-1", "ac", false},
	{"us-west-2", "abcd", false},
}

// ZoneID returns the id of a zone, such as use1-az1 for the first zone of us-east-1. It
// is the same in every account.
func ZoneID(region string, number int) string {
	short := strings.NewReplacer("north", "n", "south", "s", "east", "e", "west", "w", "central", "c", "-", "").Replace(region)
	return short + "-az" + strconv.Itoa(number)
}
