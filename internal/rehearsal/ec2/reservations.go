// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// capacityT is a capacity reservation: it holds room for instances of a type in a zone.
type capacityT struct {
	ID        string  `xml:"capacityReservationId"`
	OwnerID   string  `xml:"ownerId"`
	Type      string  `xml:"instanceType"`
	Platform  string  `xml:"instancePlatform"`
	Zone      string  `xml:"availabilityZone"`
	Tenancy   string  `xml:"tenancy"`
	Total     int     `xml:"totalInstanceCount"`
	Available int     `xml:"availableInstanceCount"`
	State     string  `xml:"state"`
	Match     string  `xml:"instanceMatchCriteria"` // open, or targeted: only who names it
	Created   string  `xml:"createDate"`
	Tags      tagList `xml:"tagSet"`
}

func createCapacityReservation(c *call) (any, error) {
	kind, err := findType(c.p.Get("InstanceType"))
	if err != nil {
		return nil, err
	}
	count, err := c.p.Int("InstanceCount", 0)
	if err != nil {
		return nil, err
	}
	zone := c.p.Get("AvailabilityZone")
	if count < 1 {
		return nil, query.Errorf("InvalidParameterValue", "The value '%d' for InstanceCount is not valid.", count)
	}
	if _, err := c.place(query.Params{"Placement.AvailabilityZone": zone}, nil, kind); err != nil {
		return nil, err
	}
	tags, err := c.tagsFor("capacity-reservation")
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	r := &capacityT{
		ID: c.s.ids.next("cr"), OwnerID: c.s.cfg.AccountID, Type: kind.name, Platform: c.p.Get("InstancePlatform"), Zone: zone, Tenancy: "default",
		Total: count, Available: count, State: "active", Match: c.p.Or("InstanceMatchCriteria", "open"), Created: stamp(c.now), Tags: tags,
	}
	c.r.reservations.put(r.ID, r)
	return struct {
		Reservation *capacityT `xml:"capacityReservation"`
	}{r}, nil
}

func describeCapacityReservations(c *call) (any, error) {
	ids := c.p.List("CapacityReservationId")
	for _, id := range ids {
		if _, ok := c.r.reservations.get(id); !ok {
			return nil, noReservation(id)
		}
	}
	var found []*capacityT
	for _, r := range c.r.reservations.all() {
		ok, err := c.matches(r.Tags, func(name string) ([]string, bool) {
			value, ok := map[string]string{
				"instance-type": r.Type, "availability-zone": r.Zone, "state": r.State, "instance-match-criteria": r.Match, "tenancy": r.Tenancy,
				"total-instance-count": strconv.Itoa(r.Total),
			}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && contains(ids, r.ID) {
			found = append(found, r)
		}
	}
	set, next, err := page(c, found, 1)
	return struct {
		Reservations query.Set[*capacityT] `xml:"capacityReservationSet"`
		Next         string                `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func cancelCapacityReservation(c *call) (any, error) {
	id := c.p.Get("CapacityReservationId")
	if _, ok := c.r.reservations.get(id); !ok {
		return nil, noReservation(id)
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	c.r.reservations.remove(id)
	return done{true}, nil
}

func noReservation(id string) error {
	return query.Errorf("InvalidCapacityReservationId.NotFound", "The Capacity Reservation ID '%s' does not exist", id)
}

// reserve returns the reservation that a launch takes its room from; nil where
// it is to run on demand.
func (c *call) reserve(p query.Params, kind *typeData, zone string) (*capacityT, error) {
	id, only := p.Get("CapacityReservationTarget.CapacityReservationId"), p.Get("CapacityReservationPreference") == "capacity-reservations-only"
	if id != "" {
		r, ok := c.r.reservations.get(id)
		if !ok {
			return nil, noReservation(id)
		}
		if r.Type != kind.name || r.Zone != zone || r.Available == 0 {
			return nil, errReservation
		}
		return r, nil
	}
	if p.Has("CapacityReservationTarget") { // groups are Resource Groups', which is not here
		return nil, errReservation
	}
	if only || p.Or("CapacityReservationPreference", "open") == "open" {
		for _, r := range c.r.reservations.all() {
			if r.Type == kind.name && r.Zone == zone && r.Available > 0 && r.Match == "open" {
				return r, nil
			}
		}
	}
	if only {
		return nil, errReservation
	}
	return nil, nil
}

var errReservation = query.Errorf("ReservationCapacityExceeded",
	"The requested reservation does not have sufficient compatible and available capacity for this request.")
