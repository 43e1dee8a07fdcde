// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// A capacity block is a capacity reservation that is paid in advance and has a start
// and an end:
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-blocks.html

// blockOffering is a capacity block for sale.
type blockOffering struct {
	ID       string `xml:"capacityBlockOfferingId"`
	Type     string `xml:"instanceType"`
	Zone     string `xml:"availabilityZone"`
	Count    int    `xml:"instanceCount"`
	Start    string `xml:"startDate"`
	End      string `xml:"endDate"`
	Hours    int    `xml:"capacityBlockDurationHours"`
	Fee      string `xml:"upfrontFee"`
	Currency string `xml:"currencyCode"`
	Tenancy  string `xml:"tenancy"`

	start, end time.Time
}

// describeOfferings offers one block in each zone that has the type, at the
// earliest start of the request.
func describeOfferings(c *call) (any, error) {
	kind, err := catalog.FindType(c.Params.Get("InstanceType"))
	if err != nil {
		return nil, err
	}
	count, err := c.Params.Int("InstanceCount", 1)
	if err != nil {
		return nil, err
	}
	hours, err := c.Params.Int("CapacityDurationHours", 0)
	if err != nil {
		return nil, err
	}
	if hours < 24 || hours%24 != 0 || hours > 182*24 {
		return nil, query.Errorf("InvalidParameterValue", "The value '%d' for CapacityDurationHours is not valid.", hours)
	}
	start := c.Now
	if text := c.Params.Get("StartDateRange"); text != "" {
		if start, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, query.Errorf("InvalidParameterValue", "The value '%s' for StartDateRange is not valid.", text)
		}
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	end := start.Add(time.Duration(hours) * time.Hour)
	var found []*blockOffering
	for _, z := range c.r.Zones {
		if kind.Family()[0] != 'p' || !kind.OfferedIn(z.Name) { // EC2 has blocks of GPU types with the letter P, and of Trainium
			continue
		}
		o := &blockOffering{
			ID: c.s.ids.Next("cb"), Type: kind.Name, Zone: z.Name, Count: count, Start: api.Stamp(start), End: api.Stamp(end), Hours: hours,
			Fee: fmt.Sprintf("%.2f", kind.OnDemandUSD()*float64(hours*count)), Currency: "USD", Tenancy: "default", start: start, end: end,
		}
		c.r.offerings.Put(o.ID, o)
		found = append(found, o)
	}
	set, next, err := api.Page(c.Request, found, 1)
	return struct {
		Offerings query.Set[*blockOffering] `xml:"capacityBlockOfferingSet"`
		Next      string                    `xml:"nextToken,omitempty"`
	}{set, next}, err
}

func purchaseBlock(c *call) (any, error) {
	o, ok := c.r.offerings.Get(c.Params.Get("CapacityBlockOfferingId"))
	if !ok {
		return nil, query.Errorf("InvalidParameterValue", "The Capacity Block offering '%s' does not exist.", c.Params.Get("CapacityBlockOfferingId"))
	}
	tags, err := c.TagsFor("capacity-reservation")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.r.offerings.Remove(o.ID)
	r := &capacityT{
		ID: c.s.ids.Next("cr"), OwnerID: c.s.cfg.AccountID, Type: o.Type, Platform: c.Params.Get("InstancePlatform"), Zone: o.Zone, Tenancy: o.Tenancy,
		Total: o.Count, Available: o.Count, State: "scheduled", Match: "targeted", Created: api.Stamp(c.Now), Tags: tags,
		Kind: capacityBlock, EndKind: "limited", Start: o.Start, End: o.End, start: o.start, end: o.end,
	}
	r.settle(c.Now)
	c.r.reservations.Put(r.ID, r)
	return struct {
		Reservation *capacityT `xml:"capacityReservation"`
	}{r}, nil
}

// settle makes a capacity block active or expired when its time has come.
func (r *capacityT) settle(now time.Time) {
	switch {
	case r.Kind != capacityBlock || now.Before(r.start):
	case now.Before(r.end):
		r.State = "active"
	default:
		r.State = "expired"
	}
}

// block returns the capacity block of a launch in the market capacity-block.
func (c *call) block(p query.Params, kind *catalog.Type, zone string) (*capacityT, error) {
	id := p.Get("CapacityReservationTarget.CapacityReservationId")
	if id == "" {
		return nil, query.Errorf("InvalidParameterCombination", "The market type capacity-block requires a Capacity Reservation ID.")
	}
	r, ok := c.r.reservations.Get(id)
	if !ok {
		return nil, noReservation(id)
	}
	if r.Kind != capacityBlock {
		return nil, query.Errorf("InvalidParameterCombination", "The Capacity Reservation '%s' is not a Capacity Block.", id)
	}
	if r.State != "active" || r.Type != kind.Name || r.Zone != zone || r.Available == 0 {
		return nil, errReservation
	}
	return r, nil
}
