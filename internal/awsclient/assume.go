// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Role is a role of another account.
type Role struct {
	ARN        string
	ExternalID string // empty if its trust policy requires none
	Session    string // name of the sessions, as in CloudTrail
}

// roleMargin is how long before their expiry the credentials of a role are renewed.
const roleMargin = 5 * time.Minute

// Assume returns clients with the credentials of a role, which these clients assume, and
// renew before they expire. Nothing is requested before the first use.
func (c *Clients) Assume(role Role) *Clients {
	base := c.given
	assume := func(ctx context.Context) (aws.Credentials, error) {
		api := c.STS()
		if api == nil {
			return aws.Credentials{}, errors.New("the endpoint serves only EC2, not STS")
		}
		in := &sts.AssumeRoleInput{RoleArn: &role.ARN, RoleSessionName: &role.Session}
		if role.ExternalID != "" {
			in.ExternalId = &role.ExternalID
		}
		out, err := api.AssumeRole(ctx, in)
		if err != nil {
			return aws.Credentials{}, err
		}
		return aws.Credentials{
			AccessKeyID: aws.ToString(out.Credentials.AccessKeyId), SecretAccessKey: aws.ToString(out.Credentials.SecretAccessKey),
			SessionToken: aws.ToString(out.Credentials.SessionToken), Source: "AssumeRoleProvider",
			CanExpire: true, Expires: aws.ToTime(out.Credentials.Expiration),
		}, nil
	}
	base.Credentials = aws.NewCredentialsCache(aws.CredentialsProviderFunc(assume), func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = roleMargin })
	return newClients(base, c.endpoint, c.outages)
}
