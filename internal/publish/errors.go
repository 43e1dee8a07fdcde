// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"errors"
	"fmt"
	"strings"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// said is an explained error that wraps the error from AWS.
type said struct {
	error
	text string
}

func (s said) Error() string { return s.text }
func (s said) Unwrap() error { return s.error }

func sayError(err error, format string, args ...any) error {
	return said{err, fmt.Sprintf(format, args...) + " (" + awsclient.Cause(err) + ")"}
}

// action matches the action in an access denied message.
var action = lazyregexp.New(`to perform: ([A-Za-z0-9-]+:[A-Za-z0-9]+)`)

// explain turns an S3 error into a message with the bucket and the remedy. need is
// the permission that the call requires.
func (r *run) explain(err error, at Place, need string) error {
	if err == nil {
		return nil
	}
	switch code := awsclient.Code(err); code {
	case "NoSuchBucket":
		return sayError(err, "there is no bucket %q: fix bucket, or create it: %s", at.Bucket, r.createBucket(at))
	case "PermanentRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return sayError(err, "the bucket %q is %s, not in %s: fix bucket or regions", at.Bucket, whereIs(err), at.Region)
	case "AccessControlListNotSupported":
		return sayError(err, "the bucket %q does not accept ACLs: remove acl, and grant access with a bucket policy", at.Bucket)
	case "AccessDenied", "Forbidden":
		if acl := r.plan.S3.ACL; strings.HasPrefix(acl, "public-") && (strings.Contains(err.Error(), "BlockPublicAcls") || !action.MatchString(err.Error())) {
			return sayError(err, "the bucket %q or its account blocks public access, and with it acl = %q: remove acl, or remove the block; or %s is not allowed", at.Bucket, acl, need)
		}
	}
	return refused(err, need, at.Region)
}

// createBucket returns the command that creates a region's bucket. us-east-1
// accepts no location constraint.
func (p *Publisher) createBucket(at Place) string {
	command := p.aws() + " s3api create-bucket --bucket " + at.Bucket + " --region " + at.Region
	if at.Region != "us-east-1" {
		command += " --create-bucket-configuration LocationConstraint=" + at.Region
	}
	return command
}

// refused explains errors that all services share.
func refused(err error, need, region string) error {
	switch code := awsclient.Code(err); code {
	case "AccessDenied", "AccessDeniedException", "Forbidden", "UnauthorizedOperation":
		if m := action.FindStringSubmatch(err.Error()); m != nil {
			need = m[1]
		}
		return sayError(err, "these credentials lack the permission %s in %s; allow it", need, region)
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidToken", "OptInRequired", "SubscriptionRequiredException", "AuthFailure":
		return sayError(err, "%s does not accept these credentials: the region may not be enabled for the account", region)
	}
	return err
}

// whereIs returns the region of a bucket if the response has it.
func whereIs(err error) string {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.HTTPResponse() != nil {
		if region := answer.HTTPResponse().Header.Get("x-amz-bucket-region"); region != "" {
			return "in " + region
		}
	}
	return "in another region"
}
