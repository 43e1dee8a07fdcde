// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import "strings"

// ServiceQuota is the code and the name of an EC2 quota in Service Quotas.
type ServiceQuota struct{ Code, Name string }

// QuotaOf returns the vCPU quota that a type counts against; false if the type is
// neither of a GPU family nor of a standard one, or runs in a capacity block. Names and codes are from
// `aws service-quotas list-service-quotas --service-code ec2`; see
// https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html.
func QuotaOf(instanceType string, market Market) (ServiceQuota, bool) {
	if market == CapacityBlock {
		return ServiceQuota{}, false // counted when it is purchased
	}
	family, _, _ := strings.Cut(instanceType, ".")
	spot := market == Spot
	pick := func(onDemand, onSpot ServiceQuota) (ServiceQuota, bool) {
		if spot {
			return onSpot, true
		}
		return onDemand, true
	}
	switch letters := family[:digitAt(family)]; {
	case letters == "g" || letters == "gr" || letters == "vt":
		return pick(ServiceQuota{"L-DB2E81BA", "Running On-Demand G and VT instances"},
			ServiceQuota{"L-3819A6DF", "All G and VT Spot Instance Requests"})
	case family == "p5" && spot:
		return ServiceQuota{"L-C4BD4855", "All P5 Spot Instance Requests"}, true
	case letters == "p":
		if spot && family != "p2" && family != "p3" && family != "p3dn" && family != "p4d" && family != "p4de" {
			return ServiceQuota{}, false // newer families have separate quotas
		}
		return pick(ServiceQuota{"L-417A185B", "Running On-Demand P instances"},
			ServiceQuota{"L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"})
	case len(letters) == 1 && strings.Contains("acdhimrtz", letters):
		return pick(ServiceQuota{"L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"},
			ServiceQuota{"L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests"})
	}
	return ServiceQuota{}, false
}

// digitAt returns the index of a family's generation: 1 in g4dn.
func digitAt(family string) int {
	if i := strings.IndexAny(family, "0123456789"); i >= 0 {
		return i
	}
	return len(family)
}
