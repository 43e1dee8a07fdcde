// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"fmt"
	"math"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// leastBilled is the shortest time that EC2 bills a Linux instance for
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/concepts.html#per-second-billing).
const leastBilled = 60 * time.Second

// ran notes how long the instance was running, by what this build has seen: the
// one state that EC2 bills. It is told of the end more than once.
func (r *report) ran() {
	if r.runs.IsZero() {
		return
	}
	d := time.Since(r.runs)
	r.runs = time.Time{}
	r.BilledSeconds = math.Ceil(d.Seconds())
	if r.PricePerHourUSD > 0 {
		r.CostUSD = math.Round(max(d, leastBilled).Hours()*r.PricePerHourUSD*10000) / 10000
	}
}

// running says how long the instance ran, and for how much.
func (r *report) running() string {
	text := fmt.Sprintf("running for %.0f s of it", r.BilledSeconds)
	if r.CostUSD > 0 {
		text += fmt.Sprintf(", at $%s an hour about $%.2f", launch.USD(r.PricePerHourUSD), r.CostUSD)
	}
	return text
}
