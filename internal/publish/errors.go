// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"errors"
	"fmt"
	"strings"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// said is an error in our words, with AWS's own behind it.
type said struct {
	error
	text string
}

func (s said) Error() string { return s.text }
func (s said) Unwrap() error { return s.error }

func sayError(err error, format string, args ...any) error {
	return said{err, fmt.Sprintf(format, args...) + " (" + ec2api.Plain(err).Error() + ")"}
}

// action that AWS names in a refusal.
var action = lazyregexp.New(`to perform: ([A-Za-z0-9-]+:[A-Za-z0-9]+)`)

// explain puts what S3 answers into words that name the bucket and the remedy.
// need is the permission that the call takes.
func (r *run) explain(err error, at Place, need string) error {
	if err == nil {
		return nil
	}
	switch code := ec2api.Code(err); code {
	case "NoSuchBucket":
		return sayError(err, "there is no bucket %q: make it with `aws s3api create-bucket`, or mend bucket", at.Bucket)
	case "PermanentRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return sayError(err, "the bucket %q is %s, not in %s: mend bucket or regions", at.Bucket, whereIs(err), at.Region)
	case "AccessControlListNotSupported":
		return sayError(err, "the bucket %q takes no ACLs: leave acl out, and give access by a bucket policy", at.Bucket)
	case "AccessDenied", "Forbidden":
		if acl := r.plan.S3.ACL; strings.HasPrefix(acl, "public-") && (strings.Contains(err.Error(), "BlockPublicAcls") || !action.MatchString(err.Error())) {
			return sayError(err, "the bucket %q, or its account, blocks public access and so acl = %q: leave acl out, or lift the block; or %s is not permitted", at.Bucket, acl, need)
		}
	}
	return refused(err, need, at.Region)
}

// refused explains what any service may answer.
func refused(err error, need, region string) error {
	switch code := ec2api.Code(err); code {
	case "AccessDenied", "AccessDeniedException", "Forbidden", "UnauthorizedOperation":
		if m := action.FindStringSubmatch(err.Error()); m != nil {
			need = m[1]
		}
		return sayError(err, "these credentials lack the permission %s in %s", need, region)
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken", "OptInRequired", "SubscriptionRequiredException", "AuthFailure":
		return sayError(err, "%s does not know these credentials: it may not be enabled for the account (`aws account list-regions`)", region)
	}
	return err
}

// whereIs says where a bucket is, if S3 does.
func whereIs(err error) string {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.HTTPResponse() != nil {
		if region := answer.HTTPResponse().Header.Get("x-amz-bucket-region"); region != "" {
			return "in " + region
		}
	}
	return "in another region"
}
