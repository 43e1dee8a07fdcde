// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// CloudFormation reads a template from the rehearsal's S3 by its published URL.
func TestTemplateURL(t *testing.T) {
	server := New(Config{})
	t.Cleanup(func() { _ = server.Close() })
	config := server.AWSConfig("us-east-1")
	objects := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("templates")}); err != nil {
		t.Fatal(err)
	}
	_, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("templates"), Key: aws.String("latest/t.json"),
		Body: strings.NewReader(`{"Description": "ours", "Resources": {"A": {"Type": "AWS::SNS::Topic"}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ url, want string }{
		{"https://templates.s3.us-east-1.amazonaws.com/latest/t.json", ""},
		{"https://s3.us-east-1.amazonaws.com/templates/latest/t.json", ""},
		{"https://templates.s3.us-east-1.amazonaws.com/none.json", "NoSuchKey"},
		{"https://nobodys.s3.us-east-1.amazonaws.com/t.json", "NoSuchBucket"},
	} {
		out, err := cloudformation.NewFromConfig(config).ValidateTemplate(t.Context(), &cloudformation.ValidateTemplateInput{TemplateURL: aws.String(test.url)})
		switch {
		case test.want == "" && (err != nil || aws.ToString(out.Description) != "ours"):
			t.Errorf("%s: got %+v, error %v", test.url, out, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: got %v, want %s", test.url, err, test.want)
		}
	}
}
