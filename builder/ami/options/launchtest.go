// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type LaunchTestConfig

package options

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/deadman"
	"github.com/eth-mining/packer-plugin-ethminer/internal/didyoumean"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launchtest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poolcheck"
)

// LaunchTestConfig is a `launch_test` block: an instance is launched from the finished
// image, and checked, while the image is copied.
type LaunchTestConfig struct {
	// The regions in which an image is tested, as soon as it is available there:
	// regions of the build, or `["all"]`. At most four tests run at once. Default: the
	// build's region, where the image of the instance is tested even if it is only
	// copied to other regions.
	Regions []string `mapstructure:"regions" required:"false"`
	// The instance types to try in this order. They must have the GPU that the image
	// was built for. Default: the type on which the image was built, or else
	// `instance_types`.
	InstanceTypes []string `mapstructure:"instance_types" required:"false"`
	// The path of the user data of the test's instance. It must start
	// `ethminer.service`. Default: user data that runs the miner's benchmark with the
	// device and the block of the image's own benchmark, without a pool and a wallet.
	UserDataFile string `mapstructure:"user_data_file" required:"false"`
	// The checks to make besides the login: `cloud-init` (it ends without an error),
	// `system` (no unit of the miner has failed, the disk is not full), `service`
	// (`ethminer.service` is enabled and keeps running), `hash-rate` (by the service's
	// log and the miner's API, compared with the image's benchmark) and `xid` (the
	// kernel reports no error of a GPU). Default: all.
	Checks []string `mapstructure:"checks" required:"false"`
	// How long the service must mine without an interruption. From `1s` to `1h`.
	// Default `1m`.
	RawUptime string `mapstructure:"uptime" required:"false"`
	// The maximum time of a test, from the request for the instance to the verdict. The
	// instance shuts itself down after this time. From `5m` to `1h`. Default `20m`.
	RawTimeout string `mapstructure:"timeout" required:"false"`
	// The maximum difference between the rate of the service and that of the image's
	// benchmark, as a share of the latter, from `0.01` to `1`. Default `0.1`, and no
	// limit if the image mines on a CPU, whose rate depends on what else it does.
	MaxDifference float64 `mapstructure:"max_difference" required:"false"`
	// Commands that must exit with 0, such as `"test -e /etc/my-fleet.conf"`. The login
	// user runs them after all other checks. Empty by default.
	Commands []string `mapstructure:"commands" required:"false"`
	// A pool at which the service mines, after all other checks, until the pool accepts
	// one share. The wallet is sent over SSH; it is in no user data and in no image. By
	// default no pool is contacted.
	PoolCheck *poolcheck.PoolCheck `mapstructure:"pool_check" required:"false"`
	// Treats a test that could not be made as a failed one, for example if EC2 has no
	// capacity for its instance. Default `false`: the build says so, and continues.
	Required bool `mapstructure:"required" required:"false"`

	uptime, timeout time.Duration
}

// Defaults and limits of launch_test.
const (
	defaultUptime       = time.Minute
	defaultTestTimeout  = 20 * time.Minute
	leastTestTimeout    = 5 * time.Minute
	leastMaxDifference  = 0.01
	allRegions          = "all"
	LaunchTestsTogether = 4 // the tests that run at once
)

// testBoot limits the boot of a test's instance once it runs, within the timeout.
const testBoot = 5 * time.Minute

// prepareLaunchTest fills in defaults and checks launch_test.
func (c *Config) prepareLaunchTest() (errs []error) {
	switch c.OnLaunchTestFailure {
	case "":
		c.OnLaunchTestFailure = OnFailureRollback
	case OnFailureRollback, OnFailureKeep, hclvalue.Unknown:
	default:
		errs = append(errs, fmt.Errorf("on_launch_test_failure: got %q, want %q or %q", c.OnLaunchTestFailure, OnFailureRollback, OnFailureKeep))
	}
	t := c.LaunchTest
	if t == nil {
		return errs
	}
	if c.SkipCreateAMI {
		errs = append(errs, errors.New("launch_test, skip_create_ami: both are set, want one of them: there would be no image to test"))
	}
	if c.Comm.Type != "" && c.Comm.Type != "ssh" {
		errs = append(errs, fmt.Errorf("launch_test, communicator: got %q, want \"ssh\": the test logs in to its instance; remove launch_test, or the communicator", c.Comm.Type))
	}
	for i, name := range t.Regions {
		if name != allRegions {
			errs = appendError(errs, c.checkOwnRegion(fmt.Sprintf("launch_test.regions[%d]", i), name))
		} else if len(t.Regions) > 1 {
			errs = append(errs, fmt.Errorf("launch_test.regions: got %q among others, want only [%[1]q], or a list of regions", allRegions))
		}
	}
	for i, check := range t.Checks {
		if check == hclvalue.Unknown || slices.Contains(launchtest.Optional, check) {
			continue
		}
		meant := ""
		if near := didyoumean.Nearest(check, launchtest.Optional); near != "" {
			meant = "; did you mean " + near + "?"
		}
		errs = append(errs, fmt.Errorf("launch_test.checks[%d]: got %q, want %s%s", i, check, strings.Join(launchtest.Optional, ", "), meant))
	}
	errs = appendError(errs, hclvalue.Duration("launch_test.uptime", t.RawUptime, defaultUptime, time.Second, &t.uptime))
	errs = appendError(errs, hclvalue.Duration("launch_test.timeout", t.RawTimeout, defaultTestTimeout, leastTestTimeout, &t.timeout))
	if t.MaxDifference != 0 && (t.MaxDifference < leastMaxDifference || t.MaxDifference > 1) {
		errs = append(errs, fmt.Errorf("launch_test.max_difference: got %v, want a share from %v to 1, such as 0.1", t.MaxDifference, leastMaxDifference))
	}
	if err := t.PoolCheck.Prepare(); err != nil {
		errs = append(errs, fmt.Errorf("launch_test.%w", err))
	}
	if t.UserDataFile != "" && t.UserDataFile != hclvalue.Unknown {
		if _, err := t.userData(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// userData returns the user data of a test's instance.
func (t *LaunchTestConfig) userData() (string, error) {
	if t.UserDataFile == "" {
		return launchtest.UserData, nil
	}
	text, err := os.ReadFile(t.UserDataFile)
	if err != nil {
		return "", fmt.Errorf("launch_test.user_data_file: %w", err)
	}
	if _, err := deadman.Arm(t.timeout, text); err != nil {
		return "", fmt.Errorf("launch_test.user_data_file: got %q, want user data of cloud-init that leaves room for the instance's end after launch_test.timeout: %w", t.UserDataFile, err)
	}
	return string(text), nil
}

// Plan returns the checks of a test.
func (t *LaunchTestConfig) Plan() launchtest.Plan {
	checks := t.Checks
	if checks == nil {
		checks = launchtest.Optional
	}
	return launchtest.Plan{
		Checks: checks, Uptime: t.uptime, Start: t.timeout, Boot: min(testBoot, t.timeout), MaxDifference: t.MaxDifference, Pool: t.PoolCheck, Commands: t.Commands,
	}
}

// Timeout returns the maximum time of a test.
func (t *LaunchTestConfig) Timeout() time.Duration { return t.timeout }

// TestedRegions returns the regions with a launch test.
func (c *Config) TestedRegions(home string) []string {
	t := c.LaunchTest
	switch {
	case t == nil:
		return nil
	case len(t.Regions) == 0:
		return []string{home}
	case slices.Contains(t.Regions, allRegions):
		return c.ImageRegions(home)
	}
	return slices.Compact(slices.Sorted(slices.Values(t.Regions)))
}

// TestTypes returns the instance types of a launch test. built is the type on which the
// image was built, if it is known.
func (c *Config) TestTypes(built string) []string {
	switch {
	case len(c.LaunchTest.InstanceTypes) > 0:
		return c.LaunchTest.InstanceTypes
	case built != "":
		return []string{built}
	}
	return c.InstanceTypes
}

// ForLaunchTest returns the configuration of the launch of a test's instance. It logs in
// with a key of its own. In other regions than the build's it uses nothing that exists in
// one region only, but the default VPC.
func (c *Config) ForLaunchTest(home, where, image, built string) (*Config, error) {
	t := *c
	data, err := c.LaunchTest.userData()
	if err != nil {
		return nil, err
	}
	t.SourceAmi, t.SourceAmiFilter = image, awscommon.AmiFilterOptions{}
	t.InstanceTypes = c.TestTypes(built)
	t.InstanceType = t.InstanceTypes[0]
	t.UserData, t.UserDataFile = data, ""
	t.MaxBuildTime, t.RawMaxBuildTime = c.LaunchTest.timeout, c.LaunchTest.timeout.String()
	t.InstanceInitiatedShutdownBehavior = "terminate"
	t.LaunchMappings = nil // those of the image
	t.SpotRestarts, t.AMIAccounts, t.SessionManagerPort = 0, nil, 0
	t.PackerDebug, t.PackerOnError = false, "cleanup"
	t.RunTags = maps.Clone(c.RunTags)
	limits := c.Limits() // max_build_cost is that of the build and its tests
	t.limits = &limits

	t.Comm.SSHPrivateKeyFile, t.Comm.SSHAgentAuth, t.Comm.SSHKeyPairName = "", false, ""
	t.Comm.SSHPrivateKey, t.Comm.SSHPassword, t.Comm.SSHClearAuthorizedKeys = nil, "", false
	t.Comm.SSHTemporaryKeyPairName = "ethminer_test_" + uuid.TimeOrderedUUID()
	t.Comm.SSHTemporaryKeyPairType = cmp.Or(c.Comm.SSHTemporaryKeyPairType, "ed25519")
	if !t.SSMAgentEnabled() {
		t.TemporaryIamInstanceProfilePolicyDocument = nil
	}
	if where != home {
		t.RawRegion = where
		t.SubnetId, t.SubnetIds, t.SubnetFilter = "", nil, awscommon.SubnetFilterOptions{}
		t.VpcId, t.VpcFilter = "", awscommon.VpcFilterOptions{}
		t.SecurityGroupIds, t.SecurityGroupFilter = nil, awscommon.SecurityGroupFilterOptions{}
		t.AvailabilityZone, t.AvailabilityZones = "", nil
		t.Placement.HostId, t.Placement.HostResourceGroupArn = "", ""
		t.CapacityReservationId, t.CapacityReservationGroupArn = "", ""
	}
	t.Markets = nil
	for _, m := range c.TestMarkets(where == home) {
		t.Markets = append(t.Markets, string(m))
	}
	return &t, nil
}

// TestMarkets returns the markets of a launch test. A reservation and a capacity block
// exist in the build's region only.
func (c *Config) TestMarkets(atHome bool) []launch.Market {
	markets := c.MarketList()
	if atHome {
		return markets
	}
	markets = slices.DeleteFunc(markets, func(m launch.Market) bool { return m == launch.Reservation || m == launch.CapacityBlock })
	if len(markets) == 0 {
		markets = []launch.Market{launch.OnDemand}
	}
	return markets
}

// testTime returns how long the instances of all tests may run together.
func (c *Config) testTime() time.Duration {
	if c.LaunchTest == nil {
		return 0
	}
	regions := max(1, len(c.LaunchTest.Regions))
	if slices.Contains(c.LaunchTest.Regions, allRegions) {
		regions = max(1, len(c.ImageRegions(c.RawRegion)))
	}
	return time.Duration(regions) * c.LaunchTest.timeout
}

// RejectsTest reports whether a test ends the build.
func (c *Config) RejectsTest(t artifact.LaunchTest) bool {
	return t.Verdict == artifact.TestFailed || t.Verdict == artifact.TestNotMade && c.LaunchTest.Required
}
