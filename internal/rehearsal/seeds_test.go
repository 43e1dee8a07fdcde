// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// Every region has AWS's Deep Learning Base AMIs, by name and owner.
func TestDeepLearningImages(t *testing.T) {
	l := &lab{T: t, server: New(Config{Pace: pace.Instant, Seed: "seeds", OptIn: true})}
	l.ec2 = l.in("us-east-1")
	regions := must[*sdk.DescribeRegionsOutput](l)(l.ec2.DescribeRegions(t.Context(), &sdk.DescribeRegionsInput{})).Regions
	for _, test := range []struct {
		owner, filter, value string
		newest, arch         string
	}{
		{"amazon", "name", "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) *", "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) 2026", "x86_64"},
		{"amazon", "name", "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *", "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 2026", "x86_64"},
		{"amazon", "name", "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) ????????", "Deep Learning ARM64 Base", "arm64"},
		{"amazon", "name", "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *", "Deep Learning ARM64 Base", "arm64"},
		{"898082745236", "name", "*(Ubuntu 24.04) *", "Deep Learning ", ""},
		{"", "owner-alias", "amazon", "", ""},
	} {
		for _, region := range regions {
			in := &sdk.DescribeImagesInput{Filters: []types.Filter{{Name: aws.String(test.filter), Values: []string{test.value}}}}
			if test.owner != "" {
				in.Owners = []string{test.owner}
			}
			images := must[*sdk.DescribeImagesOutput](l)(l.in(*region.RegionName).DescribeImages(t.Context(), in)).Images
			if len(images) < 2 {
				t.Fatalf("%s: %s %q of %q got %d images, want two versions", *region.RegionName, test.filter, test.value, test.owner, len(images))
			}
			image := slices.MaxFunc(images, func(a, b types.Image) int { return strings.Compare(*a.CreationDate, *b.CreationDate) })
			if !strings.HasPrefix(*image.Name, test.newest) || aws.ToString(image.ImageOwnerAlias) != "amazon" {
				t.Errorf("%s: newest of %q: got %q with owner alias %q", *region.RegionName, test.value, *image.Name, aws.ToString(image.ImageOwnerAlias))
			}
			if test.arch == "" {
				continue
			}
			root := image.BlockDeviceMappings[0]
			if string(image.Architecture) != test.arch || *image.RootDeviceName != "/dev/sda1" || *root.DeviceName != "/dev/sda1" || *root.Ebs.VolumeSize < 30 {
				t.Errorf("%s: %q: got architecture %s, root device %s of %d GiB", *region.RegionName, *image.Name, image.Architecture, *root.DeviceName, *root.Ebs.VolumeSize)
			}
		}
	}
}

// Copies of a public image belong to the account, without Amazon's owner alias.
func TestCopiesHaveNoOwnerAlias(t *testing.T) {
	l := &lab{T: t, server: New(Config{Pace: pace.Instant, Seed: "seeds"})}
	l.ec2 = l.in("us-east-1")
	must[*sdk.CopyImageOutput](l)(l.ec2.CopyImage(t.Context(), &sdk.CopyImageInput{
		Name: aws.String("copied"), SourceImageId: aws.String(l.source()), SourceRegion: aws.String("us-east-1"),
	}))
	for owner, want := range map[string]int{"self": 1, "amazon": 0} {
		out := must[*sdk.DescribeImagesOutput](l)(l.ec2.DescribeImages(t.Context(), &sdk.DescribeImagesInput{
			Owners: []string{owner}, Filters: []types.Filter{{Name: aws.String("name"), Values: []string{"copied"}}},
		}))
		if len(out.Images) != want {
			t.Errorf("owner %s: got %d images named copied, want %d", owner, len(out.Images), want)
		}
		if want == 1 && out.Images[0].ImageOwnerAlias != nil {
			t.Errorf("got owner alias %q", *out.Images[0].ImageOwnerAlias)
		}
	}
}
