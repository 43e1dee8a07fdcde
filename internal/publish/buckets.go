// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// MakeBuckets makes the plan's buckets where they are not there: for a
// rehearsal, which has none.
func (p *Publisher) MakeBuckets(ctx context.Context, plan *Plan) error {
	r := &run{Publisher: p, plan: plan}
	return r.everywhere(func(_ int, at Place) error {
		in := &s3.CreateBucketInput{Bucket: &at.Bucket}
		if at.Region != "us-east-1" { // which S3 wants to be left out
			in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(at.Region)}
		}
		_, err := p.Clients.S3(at.Region, at.Bucket).CreateBucket(ctx, in)
		if code := ec2api.Code(err); code == "BucketAlreadyOwnedByYou" || code == "BucketAlreadyExists" {
			return nil
		}
		return r.explain(err, at, "s3:CreateBucket")
	})
}
