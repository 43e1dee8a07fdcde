// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2api

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// mostReferenced is how many images DescribeImageReferences takes in a call
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImageReferences.html).
const mostReferenced = 10

// ImageReferences returns, by image, what of the account names it: instances,
// launch templates, parameters, recipes, by their ARNs.
func (c *Clients) ImageReferences(ctx context.Context, region string, images []string) (map[string][]string, error) {
	found := map[string][]string{}
	for len(images) > 0 {
		n := min(len(images), mostReferenced)
		form := url.Values{"Action": {"DescribeImageReferences"}, "Version": {"2016-11-15"}, "IncludeAllResourceTypes": {"true"}}
		for i, id := range images[:n] {
			form.Set(fmt.Sprintf("ImageId.%d", i+1), id)
		}
		images = images[n:]
		for {
			var page struct {
				References []struct {
					ImageID string `xml:"imageId"`
					ARN     string `xml:"arn"`
				} `xml:"imageReferenceSet>item"`
				Next string `xml:"nextToken"`
			}
			answer, err := c.raw(ctx, region, form)
			if err == nil {
				err = xml.Unmarshal(answer, &page)
			}
			if err != nil {
				return nil, fmt.Errorf("DescribeImageReferences: %w", err)
			}
			for _, r := range page.References {
				found[r.ImageID] = append(found[r.ImageID], r.ARN)
			}
			if page.Next == "" {
				break
			}
			form.Set("NextToken", page.Next)
		}
	}
	return found, nil
}

// raw makes a call that this version of the SDK does not know. DescribeImages
// carries it: endpoint, signature, retries and errors are the SDK's.
func (c *Clients) raw(ctx context.Context, region string, form url.Values) (answer []byte, err error) {
	ask := middleware.SerializeMiddlewareFunc("Ask", func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
		request, err := in.Request.(*smithyhttp.Request).SetStream(strings.NewReader(form.Encode()))
		if err != nil {
			return middleware.SerializeOutput{}, middleware.Metadata{}, err
		}
		in.Request = request
		return next.HandleSerialize(ctx, in)
	})
	hear := middleware.DeserializeMiddlewareFunc("Hear", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleDeserialize(ctx, in)
		response, ok := out.RawResponse.(*smithyhttp.Response)
		if err != nil || !ok || response.StatusCode != http.StatusOK {
			return out, meta, err
		}
		answer, err = io.ReadAll(response.Body)
		response.Body = io.NopCloser(bytes.NewReader([]byte("<DescribeImagesResponse/>")))
		return out, meta, err
	})
	_, err = c.EC2(region).DescribeImages(ctx, &ec2.DescribeImagesInput{}, ec2.WithAPIOptions(func(stack *middleware.Stack) error {
		if err := stack.Serialize.Add(ask, middleware.After); err != nil {
			return err
		}
		return stack.Deserialize.Add(hear, middleware.After)
	}))
	return answer, err
}
