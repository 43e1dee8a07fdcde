// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// credentials requests the identity of the credentials, which needs no permission
// (https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html).
func (p *plan) credentials(ctx context.Context, n *notes) {
	out, err := p.cloud.Identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	switch {
	case awsclient.IsBadCredentials(err):
		n.find(p.badCredentials(err))
	case err != nil:
		n.gap("the identity of the credentials", "sts:GetCallerIdentity", err)
	default:
		n.account = aws.ToString(out.Arn)
		n.find(wrongClock(awsclient.Skew(out.ResultMetadata))...)
	}
	n.find(p.Session.expires()...)
}

// mostSkew is the difference that AWS accepts in the time of a request.
const mostSkew = 5 * time.Minute

// wrongClock returns a finding if AWS's clock is too far ahead of this machine's, or
// behind. The SDK corrects the time of requests, but not that of tags.
func wrongClock(skew time.Duration) []Finding {
	if skew.Abs() <= mostSkew {
		return nil
	}
	than := "behind"
	if skew < 0 {
		than = "ahead of"
	}
	return []Finding{{
		Attribute: "clock", Value: fmt.Sprintf("this machine's is %s %s AWS's", skew.Abs().Round(time.Second), than),
		Expected: fmt.Sprintf("a difference of at most %s", mostSkew),
		Remedy:   "set the clock, such as with timedatectl set-ntp true; with the wrong time in its tags, sweep could remove a running build",
	}}
}

// Session is a session token that nothing refreshes.
type Session struct {
	Expires time.Time
	Source  string // such as AWS_CREDENTIAL_EXPIRATION
	// Ends is when the build may end at the latest, for the reason Why.
	Ends time.Time
	Why  string
}

// expires returns a warning if the session may end before the build.
func (s Session) expires() []Finding {
	if s.Expires.IsZero() || !s.Expires.Before(s.Ends) {
		return nil
	}
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
	return []Finding{{
		Attribute: "credentials", Value: fmt.Sprintf("they expire at %s (%s), possibly before the build ends", stamp(s.Expires), s.Source),
		Expected: fmt.Sprintf("credentials that are valid until %s (%s)", stamp(s.Ends), s.Why),
		Remedy:   "get new ones before the build, or use a source that refreshes itself, such as assume_role, IAM Identity Center or credential_process",
		Warning:  true,
	}}
}

// badCredentials returns the finding for credentials that AWS rejects, or for a
// region that does not exist: STS and EC2 return the same error for both.
func (p *plan) badCredentials(err error) Finding {
	if meant := region.Meant(p.BuildRegion); !region.IsKnown(p.BuildRegion) && meant != "" {
		return Finding{
			Attribute: "region", Value: fmt.Sprintf("got %q, which is not a known region, and AWS rejects the credentials there (%s)", p.BuildRegion, awsclient.Code(err)),
			Remedy:   meant,
			rejected: true,
		}
	}
	return Finding{
		Attribute: "credentials", Value: fmt.Sprintf("AWS rejects them (%s)", awsclient.Plain(err)),
		Expected: "a valid access key and secret key, not expired, of the region's partition",
		Remedy:   "test them with aws sts get-caller-identity; choose others with profile, access_key, assume_role or the environment; check that the system clock is correct",
		rejected: true,
	}
}
