// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package launch

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
)

// Describe returns an instance.
func Describe(ctx context.Context, client ec2.DescribeInstancesAPIClient, id string) (ec2types.Instance, error) {
	out, err := client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		return ec2types.Instance{}, err
	}
	for _, reservation := range out.Reservations {
		for _, instance := range reservation.Instances {
			if instance.State != nil {
				return instance, nil
			}
		}
	}
	return ec2types.Instance{}, &smithy.GenericAPIError{Code: "InvalidInstanceID.NotFound", Message: id + " does not exist"}
}

// OfToken finds the instance of a launch whose response was lost.
func OfToken(ctx context.Context, client ec2.DescribeInstancesAPIClient, token string) (*ec2types.Instance, error) {
	out, err := client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{
		Filters: []ec2types.Filter{{Name: aws.String("client-token"), Values: []string{token}}},
	})
	if err != nil {
		return nil, err
	}
	for _, reservation := range out.Reservations {
		for _, instance := range reservation.Instances {
			return &instance, nil
		}
	}
	return nil, nil
}

// OfTag finds an instance with a tag that has not ended, except known ones.
func OfTag(ctx context.Context, client ec2.DescribeInstancesAPIClient, key, value string, known map[string]bool) (*ec2types.Instance, error) {
	pages := ec2.NewDescribeInstancesPaginator(client, &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{
		{Name: aws.String("tag:" + key), Values: []string{value}},
		{Name: aws.String("instance-state-name"), Values: []string{"pending", "running"}},
	}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, reservation := range page.Reservations {
			for _, instance := range reservation.Instances {
				if !known[aws.ToString(instance.InstanceId)] {
					return &instance, nil
				}
			}
		}
	}
	return nil, nil
}

// Reclaimed reports whether EC2 ended an instance by a spot interruption, for
// which it has two reasons:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html
func Reclaimed(instance ec2types.Instance) bool {
	if instance.StateReason == nil {
		return false
	}
	return isReclaim(aws.ToString(instance.StateReason.Code))
}

func isReclaim(code string) bool { return strings.HasPrefix(code, "Server.Spot") }
