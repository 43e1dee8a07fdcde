// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
)

// credentials asks whose the credentials are, which needs no permission
// (https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html).
func (p *plan) credentials(ctx context.Context, n *notes) {
	out, err := p.cloud.Identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	switch {
	case ec2api.IsBadCredentials(err):
		n.find(badCredentials(err))
	case err != nil:
		n.gap("whose the credentials are", "sts:GetCallerIdentity", err)
	default:
		n.account = aws.ToString(out.Arn)
	}
}

func badCredentials(err error) Finding {
	return Finding{
		Attribute: "credentials", Value: fmt.Sprintf("AWS does not take them (%s)", ec2api.Code(err)),
		Expected: "an access key that exists, with its secret key, and not expired, in a partition that has the region",
		Remedy:   "aws sts get-caller-identity tries them; profile, access_key and assume_role, or the environment, choose others; a clock that is wrong by minutes has the same effect",
	}
}
