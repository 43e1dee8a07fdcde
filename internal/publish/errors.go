// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"errors"
	"strings"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// explain turns an S3 error into a message with the bucket and the remedy. need is
// the permission that the call requires.
func (r *run) explain(err error, at Place, need string) error {
	if err == nil {
		return nil
	}
	switch code := awsclient.Code(err); code {
	case "NoSuchBucket":
		return awsclient.Explain(err, "there is no bucket %q: fix bucket, or create it: %s", at.Bucket, r.createBucket(at))
	case "PermanentRedirect", "MovedPermanently", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return awsclient.Explain(err, "the bucket %q is %s, not in %s: fix bucket or regions", at.Bucket, whereIs(err), at.Region)
	case "AccessControlListNotSupported":
		return awsclient.Explain(err, "the bucket %q does not accept ACLs: remove acl, and grant access with a bucket policy", at.Bucket)
	case "AccessDenied", "Forbidden":
		if acl := r.plan.S3.ACL; strings.HasPrefix(acl, "public-") && (strings.Contains(err.Error(), "BlockPublicAcls") || awsclient.RefusedBy(err).Action == "") {
			return awsclient.Explain(err, "the bucket %q or its account blocks public access, and with it acl = %q: remove acl, or remove the block; or %s is not allowed", at.Bucket, acl, need)
		}
	}
	return awsclient.Denied(err, need, at.Region)
}

// createBucket returns the command that creates a region's bucket. us-east-1
// accepts no location constraint.
func (r *run) createBucket(at Place) string {
	command := r.CLI() + " s3api create-bucket --bucket " + at.Bucket + " --region " + at.Region
	if at.Region != "us-east-1" {
		command += " --create-bucket-configuration LocationConstraint=" + at.Region
	}
	return command
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
