// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/steps"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// TestPlanOrder checks that each step of a plan follows the steps that yield what it
// needs. Only the benchmark is optional: an image without one has fewer tags.
func TestPlanOrder(t *testing.T) {
	for name, config := range map[string]map[string]any{
		"on-demand":       {},
		"spot, restarted": {"spot_price": "auto", "spot_restarts": 2},
		"rehearsal":       {"rehearsal": true, "rehearsal_instance": "none"},
		"preflight":       {"preflight": "only"},
		"without image":   {"skip_create_ami": true},
	} {
		t.Run(name, func(t *testing.T) {
			config["ami_name"], config["source_ami"], config["ssh_username"] = "plan", "ami-12345678", "ubuntu"
			b := prepared(t, config)
			plan := b.plan(t.Context(), new(multistep.BasicStateBag), awsclient.New(aws.Config{Region: "us-east-1"}, ""))
			declared := 0
			var known []steps.Fact
			for _, p := range flat(plan) {
				step, ok := p.step.(steps.Step)
				if !ok {
					continue // of Packer's SDK or of packer-plugin-amazon
				}
				declared++
				needs, yields := step.Facts()
				for _, fact := range needs {
					if fact != steps.Benchmark && !slices.Contains(known, fact) {
						t.Errorf("%s needs %q, which no earlier step yields", p.name, fact)
					}
				}
				known = append(known, yields...)
			}
			if all := len(flat(plan)); all-declared > 5 {
				t.Errorf("%d of %d steps declare no facts", all-declared, all)
			}
		})
	}
}

// flat returns the steps of a plan with those that a restart repeats.
func flat(plan []planStep) (list []planStep) {
	for _, p := range plan {
		restart, nests := p.step.(*steps.Restart)
		if !nests {
			list = append(list, p)
			continue
		}
		for _, step := range restart.Steps {
			list = append(list, step.(*guarded).planStep)
		}
	}
	return list
}
