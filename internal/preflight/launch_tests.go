// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"
	"strings"
	"sync"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// Test is the launch of the instance of a launch test.
type Test struct {
	Region  string
	Types   []string
	Markets []launch.Market
	// Quotas are those of the region; nil skips their check.
	Quotas Quotas
	// DedicatedHost is true if the instance does not count against vCPU quotas.
	DedicatedHost bool
	// Required is true if the build fails without the test.
	Required bool
}

// launchTests checks that each test's region offers its types, and that its quotas allow
// one of them. The instance of the build has ended when that of the test is launched, so
// the two do not add up.
func (p *plan) launchTests(ctx context.Context, n *notes) {
	parts := make([]notes, len(p.Tests))
	all(len(p.Tests), func(i int) { p.launchTest(ctx, p.Tests[i], &parts[i]) })
	for i := range parts {
		n.take(&parts[i])
	}
}

func (p *plan) launchTest(ctx context.Context, t Test, n *notes) {
	sub := &plan{
		Plan:  Plan{BuildRegion: t.Region, Launch: &Launch{Types: t.Types, Markets: t.Markets}},
		cloud: Cloud{Quotas: t.Quotas}, home: p.cloud.EC2(t.Region),
		network: func() (network, error) { return network{places: []launch.Place{{}}}, nil },
	}
	sub.types = sync.OnceValues(func() (map[string]ec2types.InstanceTypeInfo, error) { return sub.askTypes(ctx) })
	var found notes
	sub.offerings(ctx, &found)
	if t.Quotas != nil && !t.DedicatedHost {
		sub.quotas(ctx, &found)
	}
	n.gaps = append(n.gaps, found.gaps...)
	var r Report
	r.add(&found)
	r.decide(sub.attempts())
	if err := r.Err(); err != nil {
		n.find(Finding{
			Attribute: "launch_test", Value: fmt.Sprintf("no instance can be launched in %s: %s", t.Region, strings.ReplaceAll(err.Error(), "\n", "; ")),
			Warning: !t.Required,
		})
	}
}
