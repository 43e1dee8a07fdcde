// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"errors"
	"sync"

	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// SetParameters sets the SSM parameters of other accounts to their copies (ssm_parameter),
// when all images are complete. From then on, the images are kept: the parameters refer
// to them.
type SetParameters struct{ noCleanup }

func (SetParameters) Facts() (needs, yields []Fact) { return facts(Images, AccountImages), nil }

func (SetParameters) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	var failures []error
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, a := range b.Config.AMIAccounts {
		var list []publish.Parameter
		for _, image := range b.AccountImages {
			if image.Account == a.ID && a.SSMParameter != "" {
				list = append(list, publish.Parameter{Region: image.Region, Name: a.SSMParameter, Image: image.ID})
			}
		}
		if len(list) == 0 {
			continue
		}
		b.committed = true
		b.HandOver()
		publisher := publish.Publisher{
			Clients: b.others[a.ID], Say: func(line string) { ui.Sayf("%s, %s", a.ID, line) }, Interval: b.wait.Interval, Clock: b.wait.Clock, AWS: b.awsCLI(),
		}
		wg.Go(func() {
			if err := publisher.Announce(ctx, list); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(failures...); err != nil {
		return Halt(state, "setting the parameters of other accounts: %w", err)
	}
	return multistep.ActionContinue
}
