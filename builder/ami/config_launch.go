// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// LaunchConfig says which instances may be launched, where, in which markets and at which price.
type LaunchConfig struct {
	// The instance types to try, in this order, in place of `instance_type`.
	// An image mines on the GPU type that it is built on: name types with the
	// same GPU, such as `g4dn.xlarge` and `g4dn.2xlarge`. All of them must have
	// the source image's architecture. Default: `instance_type` alone.
	InstanceTypes []string `mapstructure:"instance_types" required:"false"`
	// How the instance may be paid for, in the order to try, each everywhere
	// before the next: `capacity-reservation` (one of the account's, the one of
	// `capacity_reservation_id` or `capacity_reservation_group_arn` if set, and
	// nothing else), `on-demand`, `spot` (one-time; EC2 may take it back).
	// Default `["on-demand"]`; `["spot"]` with `spot_price` or
	// `spot_instance_types`; `["capacity-reservation"]` with
	// `capacity_reservation_id` or `capacity_reservation_group_arn`.
	Markets []string `mapstructure:"markets" required:"false"`
	// The subnets to try, in this order, in place of `subnet_id`; all of one
	// VPC. By default the subnets that `subnet_filter`, or `vpc_id` or
	// `vpc_filter` alone, match, public ones first; where none of those is set,
	// EC2 chooses first, then each zone's default subnet is tried.
	SubnetIds []string `mapstructure:"subnet_ids" required:"false"`
	// The zones to try, in this order, in place of `availability_zone`; where a
	// VPC or a filter names subnets, only those in these zones are tried.
	// Default: all.
	AvailabilityZones []string `mapstructure:"availability_zones" required:"false"`
	// How long to go on when there is no capacity anywhere, or the spot price
	// is too high: a duration such as `1h`. Everything that time may help is
	// then tried again every minute. Default `0`: everything is tried once.
	CapacityTimeout time.Duration `mapstructure:"capacity_timeout" required:"false"`
	// The most that the instance may cost an hour, in US dollars. What costs
	// more, or nobody knows the price of, is not launched; a spot instance is
	// launched with this as its highest price. The price is that of the
	// instance alone, on demand from `prices` or else AWS's price list
	// (`pricing:GetProducts`), on spot from EC2
	// (`ec2:DescribeSpotPriceHistory`). Default: no limit.
	MaxPricePerHour float64 `mapstructure:"max_price_per_hour" required:"false"`
	// The most that the instance may cost in all, in US dollars: what costs
	// more in `max_build_time` (with `spot_restarts`: that often) is not
	// launched. Volumes, snapshots and traffic are not in it. Needs a
	// `max_build_time` that is not `0`. Default: no limit.
	MaxBuildCost float64 `mapstructure:"max_build_cost" required:"false"`
	// Prices of instance types in US dollars an hour, on demand, such as
	// `{ "g4dn.xlarge" = 0.526 }`: what AWS bills you, where that is not its
	// list price, or where this may not ask for that. Default: AWS's price list.
	Prices map[string]string `mapstructure:"prices" required:"false"`
	// How often the build may launch anew and provision from the beginning
	// after EC2 took its spot instance back. Not with `-debug` or `-on-error`,
	// which ask what to do themselves. Default `0`: the build fails then.
	SpotRestarts int `mapstructure:"spot_restarts" required:"false"`

	conflicts []error            // found by chooseTypes
	prices    map[string]float64 // what Prices says
}

const (
	lowestPrice = "lowest-price" // of spot_allocation_strategy
	spotAuto    = "auto"         // of spot_price
)

// chooseTypes brings the three options for types together: InstanceTypes has
// them all, InstanceType the first, as amazon-ebs's code wants it.
func (o *LaunchConfig) chooseTypes(c *Config) {
	set := 0
	for _, isSet := range []bool{c.InstanceType != "", len(o.InstanceTypes) > 0, len(c.SpotInstanceTypes) > 0} {
		if isSet {
			set++
		}
	}
	if set > 1 {
		o.conflicts = append(o.conflicts, fmt.Errorf("instance_type, instance_types, spot_instance_types: expected one of them; "+
			"instance_types takes the place of the others"))
	}
	if len(c.SpotInstanceTypes) > 0 {
		if len(o.Markets) == 0 {
			o.Markets = []string{string(launch.Spot)}
		}
		if c.SpotAllocationStrategy == "" {
			c.SpotAllocationStrategy = lowestPrice // as in amazon-ebs
		}
		o.InstanceTypes, c.SpotInstanceTypes = c.SpotInstanceTypes, nil
	}
	if len(o.InstanceTypes) == 0 {
		if c.InstanceType == "" {
			c.InstanceType = defaultInstanceType
		}
		o.InstanceTypes = []string{c.InstanceType}
	}
	c.InstanceType = o.InstanceTypes[0]
}

// prepare fills in defaults and checks the options.
func (o *LaunchConfig) prepare(c *Config) (warnings []string, errs []error) {
	errs = append(errs, o.conflicts...)
	errs = append(errs, o.prepareMarkets(c)...)
	errs = append(errs, o.checkPlaces(c)...)
	errs = append(errs, o.checkLimits(c)...)
	for option, list := range map[string][]string{
		"instance_types": o.InstanceTypes, "markets": o.Markets, "subnet_ids": o.SubnetIds, "availability_zones": o.AvailabilityZones,
	} {
		for i, value := range list {
			if value == "" {
				errs = append(errs, fmt.Errorf("%s[%d]: empty; leave it out", option, i))
			} else if slices.Contains(list[:i], value) && value != unknownValue {
				errs = append(errs, fmt.Errorf("%s[%d]: %q is there twice; name it once", option, i, value))
			}
		}
	}
	if c.BlockDurationMinutes != 0 {
		errs = append(errs, fmt.Errorf("block_duration_minutes: %d; AWS has ended spot instances of a fixed duration; "+
			"leave it out (spot_restarts is for those that EC2 takes back)", c.BlockDurationMinutes))
		c.BlockDurationMinutes = 0
	}
	if len(c.FleetTags)+len(c.FleetTag) > 0 {
		warnings = append(warnings, "fleet_tags: an instance is launched without a fleet, so there is nothing to tag; "+
			"spot_tags tags the spot request, run_tags the instance")
	}
	if s := c.SpotAllocationStrategy; s != "" && s != lowestPrice {
		warnings = append(warnings, fmt.Sprintf("spot_allocation_strategy: %q is a fleet's, and an instance is launched without one; "+
			"the types are tried in their order (\"lowest-price\" sorts them by price)", s))
	}
	if c.SpotPriceAutoProduct != "" { //nolint:staticcheck // deprecated, and amazon-ebs still takes it
		warnings = append(warnings, "spot_price_auto_product: nothing needs it any more; leave it out")
	}
	if c.EnableT2Unlimited {
		warnings = append(warnings, "enable_t2_unlimited: it is called enable_unlimited_credits now")
	}
	if o.SpotRestarts > 0 && !o.restarts(c) && o.may(launch.Spot) {
		warnings = append(warnings, "spot_restarts: not with -debug or -on-error; the build will not launch anew")
	}
	return warnings, errs
}

func (o *LaunchConfig) may(m launch.Market) bool { return slices.Contains(o.Markets, string(m)) }

// restarts says that the build launches anew when its spot instance is gone.
func (o *LaunchConfig) restarts(c *Config) bool {
	return o.SpotRestarts > 0 && o.may(launch.Spot) && !c.PackerDebug && (c.PackerOnError == "" || c.PackerOnError == "cleanup")
}

// prepareMarkets finds the markets, and makes the options of amazon-ebs agree
// with them: its own checks take a spot_price to be what makes a build a spot
// build.
func (o *LaunchConfig) prepareMarkets(c *Config) (errs []error) {
	reservation := c.CapacityReservationId != "" || c.CapacityReservationGroupArn != ""
	if len(o.Markets) == 0 {
		switch {
		case c.IsSpotInstance():
			o.Markets = []string{string(launch.Spot)}
		case reservation:
			o.Markets = []string{string(launch.Reservation)}
		default:
			o.Markets = []string{string(launch.OnDemand)}
		}
	}
	for i, m := range o.Markets {
		switch launch.Market(m) {
		case launch.Reservation, launch.OnDemand, launch.Spot, unknownValue:
		default:
			errs = append(errs, fmt.Errorf("markets[%d]: %q; expected \"capacity-reservation\", \"on-demand\" or \"spot\"", i, m))
		}
	}
	if p, err := strconv.ParseFloat(c.SpotPrice, 64); c.IsSpotInstance() && c.SpotPrice != spotAuto && c.SpotPrice != unknownValue && (err != nil || p <= 0) {
		errs = append(errs, fmt.Errorf("spot_price: %q; expected US dollars an hour such as \"0.25\", or \"auto\" for up to the on-demand price", c.SpotPrice))
	}
	switch {
	case c.IsSpotInstance() && !o.may(launch.Spot):
		errs = append(errs, fmt.Errorf("spot_price: %q, but markets does not name \"spot\"; add it, or leave spot_price out", c.SpotPrice))
	case o.may(launch.Spot) && !c.IsSpotInstance():
		c.SpotPrice = spotAuto
	}
	if reservation && !o.may(launch.Reservation) {
		errs = append(errs, fmt.Errorf("capacity_reservation_id, capacity_reservation_group_arn: "+
			"markets does not name \"capacity-reservation\"; add it, or leave them out"))
	}
	if o.may(launch.Reservation) && c.CapacityReservationPreference == "none" {
		errs = append(errs, fmt.Errorf("capacity_reservation_preference: \"none\", but markets names \"capacity-reservation\"; leave one of them out"))
	}
	return errs
}

// checkPlaces refuses combinations of which one would be ignored.
func (o *LaunchConfig) checkPlaces(c *Config) (errs []error) {
	for _, pair := range []struct {
		a, b       string
		setA, setB bool
	}{
		{"subnet_id", "subnet_ids", c.SubnetId != "", len(o.SubnetIds) > 0},
		{"subnet_filter", "subnet_ids", !c.SubnetFilter.Empty(), len(o.SubnetIds) > 0},
		{"availability_zone", "availability_zones", c.AvailabilityZone != "", len(o.AvailabilityZones) > 0},
		{"subnet_ids", "availability_zones", len(o.SubnetIds) > 0, len(o.AvailabilityZones) > 0},
		{"subnet_id", "availability_zones", c.SubnetId != "", len(o.AvailabilityZones) > 0},
	} {
		if pair.setA && pair.setB {
			errs = append(errs, fmt.Errorf("%s, %s: expected one of them", pair.a, pair.b))
		}
	}
	return errs
}

func (o *LaunchConfig) checkLimits(c *Config) (errs []error) {
	for option, v := range map[string]float64{
		"max_price_per_hour": o.MaxPricePerHour, "max_build_cost": o.MaxBuildCost,
		"spot_restarts": float64(o.SpotRestarts), "capacity_timeout": o.CapacityTimeout.Seconds(),
	} {
		if v < 0 {
			errs = append(errs, fmt.Errorf("%s: less than 0; expected 0 or more", option))
		}
	}
	o.prices = map[string]float64{}
	for _, t := range slices.Sorted(maps.Keys(o.Prices)) {
		usd, err := strconv.ParseFloat(o.Prices[t], 64)
		if o.Prices[t] != unknownValue && (err != nil || !(usd > 0) || math.IsInf(usd, 0)) {
			errs = append(errs, fmt.Errorf("prices[%q]: %q; expected US dollars an hour, more than 0, such as 0.526", t, o.Prices[t]))
		}
		o.prices[t] = usd
	}
	if d, err := time.ParseDuration(c.RawMaxBuildTime); o.MaxBuildCost > 0 && err == nil && d == 0 {
		errs = append(errs, fmt.Errorf("max_build_cost: nothing bounds the time that is paid for; give a max_build_time other than \"0\""))
	}
	return errs
}

// limits are what a launch may cost.
func (c *Config) limits() launch.Limits {
	return launch.Limits{PerHour: c.MaxPricePerHour, Build: c.MaxBuildCost, Time: c.MaxBuildTime, Starts: 1 + c.launchRestarts()}
}

// launchRestarts is how often the build may launch anew.
func (c *Config) launchRestarts() int {
	if !c.restarts(c) {
		return 0
	}
	return c.SpotRestarts
}

func (c *Config) markets() []launch.Market {
	var markets []launch.Market
	for _, m := range c.Markets {
		markets = append(markets, launch.Market(m))
	}
	return markets
}
