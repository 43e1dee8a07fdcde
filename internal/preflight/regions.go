// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// askRegions checks that all image regions exist and that the account has opted in
// to them. It returns these, as requests fail in others.
func (p *plan) askRegions(ctx context.Context, n *notes) ([]string, error) {
	if p.SkipRegions || len(p.ImageRegions) == 0 {
		return p.ImageRegions, nil
	}
	out, err := p.home.DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true)})
	switch {
	case awsclient.IsUnauthorized(err):
		n.gap("region names and opt-in status", "ec2:DescribeRegions", err)
		return p.ImageRegions, nil
	case awsclient.IsBadCredentials(err) && p.cloud.Identity != nil:
		n.find(p.badCredentials(err))
		return nil, err
	case err != nil:
		n.find(silentRegion(p.BuildRegion, err))
		return nil, err
	}
	good, findings := judgeRegions(p.ImageRegions, out.Regions)
	n.find(findings...)
	return good, nil
}

// tryAgain is the remedy if AWS does not respond.
const tryAgain = "check the network and the AWS Health Dashboard, then try again"

// silence describes the error of a request in plain words.
func silence(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		what := "the request"
		if call := new(smithy.OperationError); errors.As(err, &call) {
			what = call.OperationName
		}
		return what + " timed out"
	}
	return awsclient.Plain(err).Error()
}

// silentRegion describes a region that does not respond, or does not exist.
func silentRegion(name string, err error) Finding {
	remedy := tryAgain
	if !region.IsKnown(name) {
		remedy = region.Meant(name)
	}
	return Finding{
		Attribute: "region", Value: fmt.Sprintf("got %q, which does not respond (%s)", name, silence(err)),
		Expected: "an existing region that the account has opted in to, and valid credentials", Remedy: remedy,
	}
}

func judgeRegions(wanted []string, known []ec2types.Region) (good []string, findings []Finding) {
	status := map[string]string{}
	for _, r := range known {
		status[aws.ToString(r.RegionName)] = aws.ToString(r.OptInStatus)
	}
	for _, name := range wanted {
		switch optIn, exists := status[name]; {
		case !exists:
			findings = append(findings, Finding{
				Attribute: "ami_regions", Value: fmt.Sprintf("got %q, which AWS does not offer to this account", name),
				Expected: "a region of the account's partition", Remedy: strings.TrimSpace(region.Meant(name) + " list the regions with aws ec2 describe-regions --all-regions"),
			})
		case optIn == "not-opted-in":
			findings = append(findings, Finding{
				Attribute: "ami_regions", Value: fmt.Sprintf("got %q, which the account has not opted in to", name),
				Remedy: fmt.Sprintf("enable it (aws account enable-region --region-name %s) or remove it", name),
			})
		default:
			good = append(good, name)
		}
	}
	return good, findings
}
