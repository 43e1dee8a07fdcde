// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// Source asks for the image to launch from.
type Source struct {
	Question   *ec2.DescribeImagesInput
	MostRecent bool   // takes the newest where there are several
	Attribute  string // of the configuration, that has the question
}

// errNoSource stands for a source image that a finding is about.
var errNoSource = errors.New("the source image is not known")

// askSource finds the image to launch from.
func (p *plan) askSource(ctx context.Context) (ec2types.Image, error) {
	out, err := p.home.DescribeImages(ctx, p.Launch.Source.Question, few)
	if err != nil {
		return ec2types.Image{}, err
	}
	image, finding := chooseSource(p.Launch.Source, p.BuildRegion, out.Images)
	if finding != nil {
		return ec2types.Image{}, sourceError{*finding}
	}
	return image, nil
}

// sourceError carries what is wrong with the answer.
type sourceError struct{ Finding }

func (e sourceError) Error() string { return errNoSource.Error() }

func chooseSource(s Source, region string, found []ec2types.Image) (ec2types.Image, *Finding) {
	asked := strings.Join(s.Question.ImageIds, ", ")
	if asked == "" {
		var parts []string
		for _, f := range s.Question.Filters {
			parts = append(parts, aws.ToString(f.Name)+" = "+strings.Join(f.Values, ","))
		}
		asked = strings.Join(parts, ", ")
		if len(s.Question.Owners) > 0 {
			asked += ", of " + strings.Join(s.Question.Owners, ", ")
		}
	}
	switch {
	case len(found) == 0:
		return ec2types.Image{}, &Finding{
			Attribute: s.Attribute, Value: fmt.Sprintf("%s has no such image: %s", region, asked), Expected: "an image that this account can see there",
			Remedy: "image ids differ by region; aws ec2 describe-images --region " + region + " lists what there is",
		}
	case len(found) > 1 && !s.MostRecent:
		return ec2types.Image{}, &Finding{
			Attribute: s.Attribute, Value: fmt.Sprintf("%d images match: %s", len(found), asked), Expected: "one",
			Remedy: "set most_recent = true, or say more",
		}
	}
	return slices.MaxFunc(found, func(a, b ec2types.Image) int { // ISO dates
		return cmp.Compare(aws.ToString(a.CreationDate), aws.ToString(b.CreationDate))
	}), nil
}

// sourceImage checks that the image is there and fits the types.
func (p *plan) sourceImage(_ context.Context, n *notes) {
	image, err := p.source()
	if wrong := (sourceError{}); errors.As(err, &wrong) {
		n.find(wrong.Finding)
		return
	}
	switch code := ec2api.Code(err); {
	case strings.HasPrefix(code, "InvalidAMIID"):
		n.find(Finding{
			Attribute: p.Launch.Source.Attribute, Value: fmt.Sprintf("%s is not in %s (%s)", strings.Join(p.Launch.Source.Question.ImageIds, ", "), p.BuildRegion, code),
			Expected: "an image that this account can see there", Remedy: "image ids differ by region",
		})
		return
	case err != nil:
		n.gap("the source image", "ec2:DescribeImages", err)
		return
	}
	n.find(judgeSource(p.Launch.Source, image)...)
	types, err := p.types()
	if err != nil {
		n.gap("whether the instance types fit the source image", "ec2:DescribeInstanceTypes", err)
		return
	}
	n.find(judgeFit(image, p.Launch.Types, types)...)
}

// judgeSource looks at the image itself.
func judgeSource(s Source, image ec2types.Image) []Finding {
	if image.RootDeviceType == ec2types.DeviceTypeEbs {
		return nil
	}
	return []Finding{{
		Attribute: s.Attribute, Value: fmt.Sprintf("%s has a root device of type %q", aws.ToString(image.ImageId), image.RootDeviceType),
		Expected: "\"ebs\"", Remedy: "an instance-store image cannot be stopped and made an image of; take another",
	}}
}

// judgeFit compares the image with the types; those that are not known are
// for the check of what is offered.
func judgeFit(image ec2types.Image, wanted []string, types map[string]ec2types.InstanceTypeInfo) (findings []Finding) {
	for _, name := range wanted {
		info, known := types[name]
		if !known || info.ProcessorInfo == nil {
			continue
		}
		can := info.ProcessorInfo.SupportedArchitectures
		if slices.Contains(can, ec2types.ArchitectureType(image.Architecture)) {
			continue
		}
		findings = append(findings, Finding{
			Attribute: "instance_types", Value: fmt.Sprintf("%s is %s, and the source image %s is %s", name, joined(can), aws.ToString(image.ImageId), image.Architecture),
			Expected: "one architecture", Remedy: "name a type or an image of the other",
			hits: ofType(name), stops: true, // EC2 says InvalidParameterValue
		})
	}
	return findings
}

func ofType(name string) func(launch.Rung) bool {
	return func(r launch.Rung) bool { return r.Type == name }
}

func joined[T ~string](list []T) string {
	var parts []string
	for _, v := range list {
		parts = append(parts, string(v))
	}
	return strings.Join(parts, ", ")
}
