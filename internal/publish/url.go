// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// ObjectURL returns the https URL of an object, as CloudFormation accepts it for a
// template, with the suffix of the region's partition. A bucket name with dots goes
// into the path, because no certificate covers it as a host name.
func ObjectURL(region, bucket, key string) (string, error) {
	at, err := s3.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), s3.EndpointParameters{
		Region: &region, Bucket: &bucket, ForcePathStyle: aws.Bool(strings.Contains(bucket, ".")),
	})
	if err != nil {
		return "", fmt.Errorf("bucket %q in %s: %w", bucket, region, err)
	}
	return strings.TrimSuffix(at.URI.String(), "/") + (&url.URL{Path: "/" + key}).EscapedPath(), nil
}
