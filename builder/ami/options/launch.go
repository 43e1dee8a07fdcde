// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package options

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/didyoumean"
	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// LaunchConfig configures the instance types, places, markets and prices of the launch.
type LaunchConfig struct {
	// The instance types to try in this order, instead of `instance_type`. On the
	// spot market, `spot_allocation_strategy` determines the order instead. An
	// image mines on the GPU type that it was built on, so list types with the
	// same GPU, such as `g4dn.xlarge` and `g4dn.2xlarge`. All of them must have
	// the architecture of the source image. Default: only `instance_type`.
	InstanceTypes []string `mapstructure:"instance_types" required:"false"`
	// The purchase options to try in this order, each in all places before the
	// next: `capacity-reservation` (only a capacity reservation of the account;
	// the one of `capacity_reservation_id` or `capacity_reservation_group_arn` if
	// set), `capacity-block` (the capacity block for ML of
	// `capacity_reservation_id`, which must be active), `on-demand`, `spot` (a
	// one-time request; EC2 chooses the place by `spot_allocation_strategy`, and
	// may interrupt the instance).
	// Default `["on-demand"]`; `["spot"]` with `spot_price` or
	// `spot_instance_types`; `["capacity-reservation"]` with
	// `capacity_reservation_id` or `capacity_reservation_group_arn`.
	Markets []string `mapstructure:"markets" required:"false"`
	// The subnets to try in this order, instead of `subnet_id`. All must be in
	// one VPC. Default: the subnets that match `subnet_filter`, or else `vpc_id`
	// or `vpc_filter`, public subnets first. If none of these is set, EC2 chooses
	// a subnet first; then the default subnet of each zone is tried.
	SubnetIds []string `mapstructure:"subnet_ids" required:"false"`
	// The availability zones to try in this order, instead of
	// `availability_zone`. If a VPC or a filter selects the subnets, only those
	// in these zones are tried. Default: all zones.
	AvailabilityZones []string `mapstructure:"availability_zones" required:"false"`
	// How long to retry if no capacity is available, or the spot price is too
	// high: a duration such as `1h`. All attempts that may succeed later are
	// retried every minute. Default `0`: each attempt is made once.
	CapacityTimeout time.Duration `mapstructure:"capacity_timeout" required:"false"`
	// The maximum price of the instance per hour, in US dollars. An instance with
	// a higher or unknown price is not launched. For a spot instance this is also
	// the maximum price of the request. The price covers only the instance. The
	// on-demand price is from `prices`, or else from AWS's price list
	// (`pricing:GetProducts`). The spot price is from EC2
	// (`ec2:DescribeSpotPriceHistory`). Default: no limit.
	MaxPricePerHour float64 `mapstructure:"max_price_per_hour" required:"false"`
	// The maximum total cost of the instance, in US dollars. An instance is not
	// launched if its price for `max_build_time`, multiplied by the possible
	// number of launches (1 + `spot_restarts`), and for the timeout of each
	// `launch_test`, exceeds this. Volumes, snapshots
	// and traffic are not included. Requires a `max_build_time` other than `0`.
	// Default: no limit.
	MaxBuildCost float64 `mapstructure:"max_build_cost" required:"false"`
	// On-demand prices of instance types in US dollars per hour, such as
	// `{ "g4dn.xlarge" = 0.526 }`. Set them if AWS bills you other prices than
	// its list prices, or if the credentials do not allow reading the price list.
	// Prices of other GPU instance types are ignored; any other name is an error.
	// Default: AWS's price list.
	Prices map[string]string `mapstructure:"prices" required:"false"`
	// How often the build launches a new instance and provisions from the
	// beginning after EC2 interrupts its spot instance. Has no effect with
	// `-debug`, or with `-on-error` other than `cleanup`. Default `0`: the build
	// fails.
	SpotRestarts int `mapstructure:"spot_restarts" required:"false"`

	strategy  string             // spot_allocation_strategy, which amazon-ebs's checks do not see
	conflicts []error            // found by chooseTypes
	prices    map[string]float64 // Prices, parsed
}

const spotAuto = "auto" // of spot_price

// chooseTypes merges the three options for types: InstanceTypes gets all types,
// InstanceType the first one, as amazon-ebs's code requires.
func (o *LaunchConfig) chooseTypes(c *Config) {
	set := 0
	for _, isSet := range []bool{c.InstanceType != "", len(o.InstanceTypes) > 0, len(c.SpotInstanceTypes) > 0} {
		if isSet {
			set++
		}
	}
	if set > 1 {
		o.conflicts = append(o.conflicts, fmt.Errorf("instance_type, instance_types, spot_instance_types: got several, want one of them; "+
			"instance_types replaces the others"))
	}
	if len(c.SpotInstanceTypes) > 0 {
		if len(o.Markets) == 0 {
			o.Markets = []string{string(launch.Spot)}
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
				errs = append(errs, fmt.Errorf("%s[%d]: empty; remove it", option, i))
			} else if slices.Contains(list[:i], value) && value != hclvalue.Unknown {
				errs = append(errs, fmt.Errorf("%s[%d]: %q is a duplicate; list it once", option, i, value))
			}
		}
	}
	if c.BlockDurationMinutes != 0 {
		errs = append(errs, fmt.Errorf("block_duration_minutes: got %d, but AWS no longer offers spot instances with a fixed duration; "+
			"remove it (spot_restarts handles interruptions)", c.BlockDurationMinutes))
		c.BlockDurationMinutes = 0
	}
	errs = appendError(errs, o.takeStrategy(c))
	if len(c.FleetTags)+len(c.FleetTag) > 0 && o.may(launch.Spot) && !c.MayUseFleet() {
		warnings = append(warnings, "fleet_tags: no effect, as the build has one instance type and one place, or spot_allocation_strategy = \"in-order\"; "+
			"use spot_tags for the spot request, run_tags for the instance")
	}
	if c.SpotPriceAutoProduct != "" { //nolint:staticcheck // deprecated, and amazon-ebs still takes it
		warnings = append(warnings, "spot_price_auto_product: no longer used; remove it")
	}
	if c.EnableT2Unlimited {
		warnings = append(warnings, "enable_t2_unlimited: deprecated; use enable_unlimited_credits")
	}
	if o.SpotRestarts > 0 && !o.restarts(c) && o.may(launch.Spot) {
		warnings = append(warnings, "spot_restarts: no effect with -debug or -on-error; the build does not launch a new instance after a spot interruption")
	}
	return warnings, errs
}

func (o *LaunchConfig) may(m launch.Market) bool { return slices.Contains(o.Markets, string(m)) }

// restarts reports whether the build launches a new instance after a spot
// interruption.
func (o *LaunchConfig) restarts(c *Config) bool {
	return o.SpotRestarts > 0 && o.may(launch.Spot) && !c.PackerDebug && (c.PackerOnError == "" || c.PackerOnError == "cleanup")
}

// prepareMarkets sets the markets and adapts amazon-ebs's options to them, as
// amazon-ebs treats a build with a spot_price as a spot build.
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
		case launch.Reservation, launch.CapacityBlock, launch.OnDemand, launch.Spot, hclvalue.Unknown:
		default:
			errs = append(errs, fmt.Errorf("markets[%d]: got %q, want \"capacity-reservation\", \"capacity-block\", \"on-demand\" or \"spot\"", i, m))
		}
	}
	if p, err := strconv.ParseFloat(c.SpotPrice, 64); c.IsSpotInstance() && c.SpotPrice != spotAuto && c.SpotPrice != hclvalue.Unknown && (err != nil || p <= 0) {
		errs = append(errs, fmt.Errorf("spot_price: got %q, want US dollars per hour such as \"0.25\", or \"auto\" for at most the on-demand price", c.SpotPrice))
	}
	switch {
	case c.IsSpotInstance() && !o.may(launch.Spot):
		errs = append(errs, fmt.Errorf("spot_price: got %q, but markets does not contain \"spot\"; add it, or remove spot_price", c.SpotPrice))
	case o.may(launch.Spot) && !c.IsSpotInstance():
		c.SpotPrice = spotAuto
	}
	if reservation && !o.may(launch.Reservation) && !o.may(launch.CapacityBlock) {
		errs = append(errs, fmt.Errorf("capacity_reservation_id, capacity_reservation_group_arn: "+
			"set, but markets does not contain \"capacity-reservation\" or \"capacity-block\"; add one of them, or remove the options"))
	}
	for _, m := range []launch.Market{launch.Reservation, launch.CapacityBlock} {
		if o.may(m) && c.CapacityReservationPreference == "none" {
			errs = append(errs, fmt.Errorf("capacity_reservation_preference: got \"none\", but markets contains %q; remove one of them", m))
		}
	}
	return append(errs, o.checkBlock(c)...)
}

// checkBlock checks the options of the market capacity-block.
func (o *LaunchConfig) checkBlock(c *Config) (errs []error) {
	if !o.may(launch.CapacityBlock) {
		return nil
	}
	if c.CapacityReservationId == "" {
		errs = append(errs, fmt.Errorf("capacity_reservation_id: not set, but markets contains \"capacity-block\"; set it to the id of the capacity block"))
	}
	if c.CapacityReservationGroupArn != "" {
		errs = append(errs, fmt.Errorf("capacity_reservation_group_arn: got %q, but markets contains \"capacity-block\", which requires one block; "+
			"remove it, and set capacity_reservation_id", c.CapacityReservationGroupArn))
	}
	if o.may(launch.Reservation) {
		errs = append(errs, fmt.Errorf("markets: got both \"capacity-reservation\" and \"capacity-block\", but capacity_reservation_id is one reservation; remove one of them"))
	}
	return errs
}

// CapacityBlock returns the id of the capacity block that the build may use, or
// empty.
func (c *Config) CapacityBlock() string {
	if !c.may(launch.CapacityBlock) {
		return ""
	}
	return c.CapacityReservationId
}

// checkPlaces refuses combinations in which one option would be ignored.
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
			errs = append(errs, fmt.Errorf("%s, %s: got both, want one of them", pair.a, pair.b))
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
			errs = append(errs, fmt.Errorf("%s: got less than 0, want 0 or more", option))
		}
	}
	o.prices = map[string]float64{}
	for _, t := range slices.Sorted(maps.Keys(o.Prices)) {
		usd, err := strconv.ParseFloat(o.Prices[t], 64)
		if o.Prices[t] != hclvalue.Unknown && (err != nil || !(usd > 0) || math.IsInf(usd, 0)) {
			errs = append(errs, fmt.Errorf("prices[%q]: got %q, want US dollars per hour, more than 0, such as 0.526", t, o.Prices[t]))
		}
		if o.Prices[t] != hclvalue.Unknown {
			errs = appendError(errs, o.unpriced(t))
		}
		o.prices[t] = usd
	}
	if d, err := time.ParseDuration(c.RawMaxBuildTime); o.MaxBuildCost > 0 && err == nil && d == 0 {
		errs = append(errs, fmt.Errorf("max_build_cost: requires a limit of the build time; set max_build_time to a duration other than \"0\""))
	}
	return errs
}

// sizeForm is the size in the name of an instance type.
var sizeForm = lazyregexp.New(`^([0-9]*x?large|medium|small|micro|nano|metal(-[0-9]+xl)?)$`)

// unpriced refuses the price of a type that the build does not launch, unless it is a
// GPU type: several builds may have one list of prices.
func (o *LaunchConfig) unpriced(name string) error {
	if slices.Contains(o.InstanceTypes, name) || slices.Contains(o.InstanceTypes, hclvalue.Unknown) {
		return nil
	}
	_, size, _ := strings.Cut(name, ".")
	if _, err := gpucatalog.Lookup(name); err == nil && sizeForm.MatchString(size) {
		return nil
	}
	meant := ""
	if near := didyoumean.Nearest(name, o.InstanceTypes); near != "" {
		meant = "did you mean " + near + "? "
	}
	return fmt.Errorf("prices[%q]: neither a type of this build nor a known GPU type, want %s; %sremove the price if it is of another type",
		name, strings.Join(o.InstanceTypes, " or "), meant)
}

// Limits returns the cost limits of a launch.
func (c *Config) Limits() launch.Limits {
	if c.limits != nil {
		return *c.limits
	}
	return launch.Limits{PerHour: c.MaxPricePerHour, Build: c.MaxBuildCost, Time: c.MaxBuildTime, Starts: 1 + c.LaunchRestarts(), Tests: c.testTime()}
}

// LaunchRestarts returns how many times the build may launch a new instance
// after a spot interruption.
func (c *Config) LaunchRestarts() int {
	if !c.restarts(c) {
		return 0
	}
	return c.SpotRestarts
}

// MarketList returns the markets to try.
func (c *Config) MarketList() []launch.Market {
	var markets []launch.Market
	for _, m := range c.Markets {
		markets = append(markets, launch.Market(m))
	}
	return markets
}

// Network returns how to find the VPC and the places of the launch.
func (c *Config) Network() launch.Network {
	n := launch.Network{
		Zones: c.AvailabilityZones, Subnets: c.SubnetIds, VPC: c.VpcId,
		VPCFilters: c.VpcFilter.Filters, SubnetFilters: c.SubnetFilter.Filters,
		MostFree: c.SubnetFilter.MostFree, Random: c.SubnetFilter.Random,
		Address: c.AssociatePublicIpAddress != config.TriUnset,
	}
	if c.AvailabilityZone != "" {
		n.Zones = []string{c.AvailabilityZone}
	}
	if c.SubnetId != "" {
		n.Subnets = []string{c.SubnetId}
	}
	return n
}

// NoSSHRule reports whether no connection to the instance's port is needed.
func (c *Config) NoSSHRule() bool { return c.SSMAgentEnabled() || c.Comm.Type == "none" }

// PriceList returns a source of instance prices in a region.
func (c *Config) PriceList(clients *awsclient.Clients, region string) *launch.Prices {
	p := &launch.Prices{Given: c.prices, Region: region, History: clients.EC2(region), Dedicated: c.InstanceTenancy() == ec2types.TenancyDedicated}
	if list := clients.Pricing(); list != nil && c.InstanceTenancy() != ec2types.TenancyHost { // AWS bills the host, not its instances
		p.List = list
	}
	return p
}
