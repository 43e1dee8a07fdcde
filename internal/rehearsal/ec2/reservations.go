// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// capacityT is a capacity reservation for instances of a type in a zone.
type capacityT struct {
	ID        string      `xml:"capacityReservationId"`
	OwnerID   string      `xml:"ownerId"`
	Type      string      `xml:"instanceType"`
	Platform  string      `xml:"instancePlatform"`
	Zone      string      `xml:"availabilityZone"`
	Tenancy   string      `xml:"tenancy"`
	Total     int         `xml:"totalInstanceCount"`
	Available int         `xml:"availableInstanceCount"`
	State     string      `xml:"state"`
	Match     string      `xml:"instanceMatchCriteria"` // open, or targeted for launches that name the reservation
	Created   string      `xml:"createDate"`
	Start     string      `xml:"startDate,omitempty"`
	EndKind   string      `xml:"endDateType"`
	End       string      `xml:"endDate,omitempty"`
	Kind      string      `xml:"reservationType"` // default or capacityBlock
	Tags      api.TagList `xml:"tagSet"`

	start, end time.Time // of a capacity block
}

const capacityBlock = "capacity-block" // the kind of a reservation and of a market

func createCapacityReservation(c *call) (any, error) {
	kind, err := catalog.FindType(c.Params.Get("InstanceType"))
	if err != nil {
		return nil, err
	}
	count, err := c.Params.Int("InstanceCount", 0)
	if err != nil {
		return nil, err
	}
	zone := c.Params.Get("AvailabilityZone")
	if count < 1 {
		return nil, query.Errorf("InvalidParameterValue", "The value '%d' for InstanceCount is not valid.", count)
	}
	if _, err := c.Place(query.Params{"Placement.AvailabilityZone": zone}, nil, kind); err != nil {
		return nil, err
	}
	tags, err := c.TagsFor("capacity-reservation")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	r := &capacityT{
		ID: c.s.ids.Next("cr"), OwnerID: c.s.cfg.AccountID, Type: kind.Name, Platform: c.Params.Get("InstancePlatform"), Zone: zone, Tenancy: "default",
		Total: count, Available: count, State: "active", Match: c.Params.Or("InstanceMatchCriteria", "open"), Created: api.Stamp(c.Now), Tags: tags,
		Kind: "default", EndKind: "unlimited",
	}
	c.r.reservations.Put(r.ID, r)
	return struct {
		Reservation *capacityT `xml:"capacityReservation"`
	}{r}, nil
}

func describeCapacityReservations(c *call) (any, error) {
	ids := c.Params.List("CapacityReservationId")
	for _, id := range ids {
		if _, ok := c.r.reservations.Get(id); !ok {
			return nil, noReservation(id)
		}
	}
	var found []*capacityT
	for _, r := range c.r.reservations.All() {
		ok, err := c.Matches(r.Tags, func(name string) ([]string, bool) {
			value, ok := map[string]string{
				"instance-type": r.Type, "availability-zone": r.Zone, "state": r.State, "instance-match-criteria": r.Match, "tenancy": r.Tenancy,
				"total-instance-count": strconv.Itoa(r.Total),
			}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && api.Contains(ids, r.ID) {
			found = append(found, r)
		}
	}
	set, next, err := api.Page(c.Request, found, 1)
	return struct {
		Reservations query.Set[*capacityT] `xml:"capacityReservationSet"`
		Next         string                `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func cancelCapacityReservation(c *call) (any, error) {
	id := c.Params.Get("CapacityReservationId")
	r, ok := c.r.reservations.Get(id)
	if !ok {
		return nil, noReservation(id)
	}
	if r.Kind == capacityBlock {
		return nil, query.Errorf("UnsupportedOperation", "The Capacity Block '%s' can't be cancelled.", id)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.r.reservations.Remove(id)
	return api.Success, nil
}

func noReservation(id string) error {
	return query.Errorf("InvalidCapacityReservationId.NotFound", "The Capacity Reservation ID '%s' does not exist", id)
}

// reserve returns the capacity reservation of a launch, or nil for a launch without
// one.
func (c *call) reserve(p query.Params, kind *catalog.Type, zone string) (*capacityT, error) {
	id, only := p.Get("CapacityReservationTarget.CapacityReservationId"), p.Get("CapacityReservationPreference") == "capacity-reservations-only"
	if id != "" {
		r, ok := c.r.reservations.Get(id)
		if !ok {
			return nil, noReservation(id)
		}
		if r.Kind == capacityBlock || r.Type != kind.Name || r.Zone != zone || r.Available == 0 {
			return nil, errReservation
		}
		return r, nil
	}
	if p.Has("CapacityReservationTarget") { // the rehearsal does not support Resource Groups
		return nil, errReservation
	}
	if only || p.Or("CapacityReservationPreference", "open") == "open" {
		for _, r := range c.r.reservations.All() {
			if r.Type == kind.Name && r.Zone == zone && r.Available > 0 && r.Match == "open" {
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
