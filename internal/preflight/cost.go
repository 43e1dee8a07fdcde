// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/estimate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// BuildInstance is the name of the build's instance in Plan.Cost.
const BuildInstance = "instance"

// price finds the types and markets whose price is above the limits.
func price(e estimate.Estimate) (findings []Finding) {
	for _, refused := range e.Refused(BuildInstance) {
		attempt := refused.Attempt
		findings = append(findings, Finding{
			Attribute: refused.Code, Value: fmt.Sprintf("%s, %s %s", attempt.Type, attempt.Market, refused.Reason),
			Remedy: "raise it, shorten max_build_time, or choose a less expensive type",
			hits:   func(a launch.Attempt) bool { return a.Type == attempt.Type && a.Market == attempt.Market },
		})
	}
	return findings
}

// grace is how much longer than the checks the estimate may take.
const grace = time.Second

// estimate requests the prices while the checks run. wait returns the estimate, with
// the prices that have arrived.
func (p *plan) estimate(ctx context.Context) (wait func() estimate.Estimate) {
	if p.cloud.Prices.Instances == nil {
		return func() (none estimate.Estimate) { return none }
	}
	ctx, cancel := context.WithCancel(ctx)
	build := p.Cost
	if build.Image != nil && build.Image.GiB == nil {
		image := *build.Image
		image.GiB = func(context.Context) (int64, error) {
			source, err := p.source()
			return VolumesGiB(source, p.Launch.Devices), err
		}
		build.Image = &image
	}
	done := make(chan estimate.Estimate, 1)
	go func() { done <- build.Run(ctx, p.cloud.Prices) }()
	return func() estimate.Estimate {
		defer cancel()
		defer time.AfterFunc(clock.Real(grace), cancel).Stop()
		return <-done
	}
}

// VolumesGiB returns the size of the volumes of an instance of the source image with
// these devices.
func VolumesGiB(image ec2types.Image, devices []Device) (total int64) {
	sizes := map[string]int64{}
	set := func(m ec2types.BlockDeviceMapping) {
		name := aws.ToString(m.DeviceName)
		if m.Ebs == nil {
			delete(sizes, name)
		} else if m.Ebs.VolumeSize != nil {
			sizes[name] = int64(*m.Ebs.VolumeSize)
		}
	}
	for _, m := range image.BlockDeviceMappings {
		set(m)
	}
	for _, device := range devices {
		set(device.Mapping)
	}
	for _, size := range sizes {
		total += size
	}
	return total
}
