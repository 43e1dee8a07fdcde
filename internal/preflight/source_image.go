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

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// Source is the request for the image to launch from.
type Source struct {
	Question   *ec2.DescribeImagesInput
	MostRecent bool   // selects the newest of several images
	Attribute  string // the option that selects the image
}

// errNoSource is returned if the source image is unknown; a finding has the reason.
var errNoSource = errors.New("the source image is unknown")

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

// sourceError is errNoSource with the finding about the response.
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
			asked += ", owned by " + strings.Join(s.Question.Owners, ", ")
		}
	}
	switch {
	case len(found) == 0:
		return ec2types.Image{}, &Finding{
			Attribute: s.Attribute, Value: fmt.Sprintf("found no image in %s: %s", region, asked), Expected: "an image that this account can access there",
			Remedy: "image ids differ by region; list images with aws ec2 describe-images --region " + region,
		}
	case len(found) > 1 && !s.MostRecent:
		return ec2types.Image{}, &Finding{
			Attribute: s.Attribute, Value: fmt.Sprintf("%d images match: %s", len(found), asked), Expected: "one",
			Remedy: "set most_recent = true, or narrow the filter",
		}
	}
	return slices.MaxFunc(found, func(a, b ec2types.Image) int { // ISO dates
		return cmp.Compare(aws.ToString(a.CreationDate), aws.ToString(b.CreationDate))
	}), nil
}

// sourceImage checks that the image exists and is compatible with the types.
func (p *plan) sourceImage(_ context.Context, n *notes) {
	image, err := p.source()
	if wrong := (sourceError{}); errors.As(err, &wrong) {
		n.find(wrong.Finding)
		return
	}
	switch code := awsclient.Code(err); {
	case strings.HasPrefix(code, "InvalidAMIID"):
		n.find(Finding{
			Attribute: p.Launch.Source.Attribute, Value: fmt.Sprintf("%s is not in %s (%s)", strings.Join(p.Launch.Source.Question.ImageIds, ", "), p.BuildRegion, code),
			Expected: "an image that this account can access there", Remedy: "image ids differ by region",
		})
		return
	case awsclient.IsUnauthorized(err):
		if p.ImageName == "" || p.Has[p.BuildRegion] { // the check of the name does not find it
			n.find(judgeDryRuns([]outcome{deniedImages(p.BuildRegion, err)})...)
		}
		return
	case err != nil:
		n.gap("the source image", "ec2:DescribeImages", err)
		return
	}
	n.find(judgeSource(p.Launch.Source, image)...)
	n.find(judgeDevices(image, p.Launch.Devices)...)
	types, err := p.types()
	if err != nil {
		n.gap("whether the instance types are compatible with the source image", "ec2:DescribeInstanceTypes", err)
		return
	}
	n.find(judgeFit(image, p.Launch.Types, types)...)
	n.find(judgeGPUs(p.Launch.Types, types)...)
}

// judgeSource checks the image itself.
func judgeSource(s Source, image ec2types.Image) (findings []Finding) {
	if image.State != "" && image.State != ec2types.ImageStateAvailable {
		findings = append(findings, Finding{
			Attribute: s.Attribute, Value: fmt.Sprintf("%s is %s", aws.ToString(image.ImageId), image.State),
			Expected: "an available image", Remedy: "wait for it, enable it, or use another image",
		})
	}
	if image.RootDeviceType == ec2types.DeviceTypeEbs {
		return findings
	}
	return append(findings, Finding{
		Attribute: s.Attribute, Value: fmt.Sprintf("%s has a root device of type %q", aws.ToString(image.ImageId), image.RootDeviceType),
		Expected: "\"ebs\"", Remedy: "use another image, as the build needs an instance with an EBS root device",
	})
}

// judgeFit compares the image with the types. The check of offerings reports
// unknown types.
func judgeFit(image ec2types.Image, wanted []string, types map[string]ec2types.InstanceTypeInfo) (findings []Finding) {
	for _, name := range wanted {
		info, known := types[name]
		if !known || info.ProcessorInfo == nil {
			continue
		}
		can := info.ProcessorInfo.SupportedArchitectures
		if slices.Contains(can, ec2types.ArchitectureType(image.Architecture)) {
			findings = append(findings, judgeHardware(image, name, info)...)
			continue
		}
		findings = append(findings, Finding{
			Attribute: "instance_types", Value: fmt.Sprintf("%s is %s, but the source image %s is %s", name, joined(can), aws.ToString(image.ImageId), image.Architecture),
			Expected: "one architecture", Remedy: "choose a type or an image of the same architecture",
			hits: ofType(name), stops: true, // EC2 returns InvalidParameterValue
		})
	}
	return findings
}

// judgeHardware compares the requirements of the image with the type's hardware.
func judgeHardware(image ec2types.Image, name string, info ec2types.InstanceTypeInfo) (findings []Finding) {
	differ := func(what, has, wants string) {
		findings = append(findings, Finding{
			Attribute: "instance_types", Value: fmt.Sprintf("%s supports only %s %s, but the source image %s requires %s", name, what, has, aws.ToString(image.ImageId), wants),
			Remedy: "choose another type or image", hits: ofType(name), stops: true,
		})
	}
	if mode := image.BootMode; (mode == ec2types.BootModeValuesUefi || mode == ec2types.BootModeValuesLegacyBios) &&
		len(info.SupportedBootModes) > 0 && !slices.Contains(info.SupportedBootModes, ec2types.BootModeType(mode)) {
		differ("boot mode", joined(info.SupportedBootModes), string(mode))
	}
	if kind := image.VirtualizationType; kind != "" && len(info.SupportedVirtualizationTypes) > 0 &&
		!slices.Contains(info.SupportedVirtualizationTypes, kind) {
		differ("virtualization", joined(info.SupportedVirtualizationTypes), string(kind))
	}
	if image.EnaSupport != nil && !*image.EnaSupport && info.NetworkInfo != nil && info.NetworkInfo.EnaSupport == ec2types.EnaSupportRequired {
		differ("network interfaces with", "ENA", "others")
	}
	return findings
}

func ofType(name string) func(launch.Attempt) bool {
	return func(r launch.Attempt) bool { return r.Type == name }
}

func joined[T ~string](list []T) string {
	var parts []string
	for _, v := range list {
		parts = append(parts, string(v))
	}
	return strings.Join(parts, ", ")
}
