// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/estimate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// silent is a price list that does not respond.
type silent struct{}

func (silent) GetProducts(ctx context.Context, _ *pricing.GetProductsInput, _ ...func(*pricing.Options)) (*pricing.GetProductsOutput, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// The estimate does not wait for prices that do not arrive, although its context has no
// end.
func TestEstimateEnds(t *testing.T) {
	p := &plan{Plan: Plan{Cost: estimate.Build{Image: &estimate.Image{Stored: []string{"us-east-1"}}}, Launch: &Launch{}}}
	p.source = func() (ec2types.Image, error) { return ec2types.Image{}, nil }
	p.cloud.Prices = estimate.Prices{List: silent{}, Instances: func(string) *launch.Prices { return &launch.Prices{} }}
	lines := p.estimate(t.Context())().Lines()
	if len(lines) != 2 || !strings.Contains(lines[1], "no response in time") || t.Context().Err() != nil {
		t.Errorf("got %q", lines)
	}
	if p.cloud.Prices = (estimate.Prices{}); len(p.estimate(t.Context())().Lines()) > 0 {
		t.Error("got an estimate without sources of prices")
	}
}

func TestVolumesGiB(t *testing.T) {
	volume := func(name string, size int32) ec2types.BlockDeviceMapping {
		m := ec2types.BlockDeviceMapping{DeviceName: &name, Ebs: &ec2types.EbsBlockDevice{}}
		if size > 0 {
			m.Ebs.VolumeSize = aws.Int32(size)
		}
		return m
	}
	image := ec2types.Image{BlockDeviceMappings: []ec2types.BlockDeviceMapping{volume("/dev/sda1", 8), volume("/dev/sdb", 100), {DeviceName: aws.String("ephemeral0")}}}
	for _, test := range []struct {
		name    string
		devices []ec2types.BlockDeviceMapping
		want    int64
	}{
		{"the image's", nil, 108},
		{"a larger root device", []ec2types.BlockDeviceMapping{volume("/dev/sda1", 20)}, 120},
		{"other settings of a device", []ec2types.BlockDeviceMapping{volume("/dev/sda1", 0)}, 108},
		{"another device", []ec2types.BlockDeviceMapping{volume("/dev/sdf", 5)}, 113},
		{"one device less", []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/sdb")}}, 8},
	} {
		var devices []Device
		for _, m := range test.devices {
			devices = append(devices, Device{Mapping: m})
		}
		if got := VolumesGiB(image, devices); got != test.want {
			t.Errorf("%s: got %d GiB, want %d", test.name, got, test.want)
		}
	}
}
