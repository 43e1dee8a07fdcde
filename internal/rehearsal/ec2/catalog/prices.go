// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package catalog

// spotShare is the spot price as a share of the on-demand price. The second zone is the
// cheapest; each further zone costs 1 % more.
const spotShare = 0.4

// OnDemandUSD returns an invented on-demand price per hour. A rehearsal bills nothing.
func (t *Type) OnDemandUSD() float64 { return 0.025*float64(t.CPUs) + 0.5*float64(t.GPUs) }

// SpotUSD returns an invented spot price per hour in a zone, numbered from 0.
func (t *Type) SpotUSD(zone int) float64 {
	if zone == 0 {
		zone = 5
	}
	return t.OnDemandUSD() * spotShare * (1 + 0.01*float64(zone))
}
