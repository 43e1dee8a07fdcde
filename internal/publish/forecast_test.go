// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// planned returns future images in all regions of a template, and who may launch
// them.
func planned(s publish.Spec, number int, by publish.Sharing) map[publish.Image]publish.Sharing {
	all := map[publish.Image]publish.Sharing{}
	for _, region := range s.S3.Regions {
		all[publish.Image{Region: region, Attribute: "AMI", ID: imageIn(region, number)}] = by
	}
	return all
}

// Everything that would make a publication fail is found before it, all at once,
// and nothing changes.
func TestForecast(t *testing.T) {
	const image = 99 // which does not exist yet
	everybody := publish.Sharing{Owner: rehearsal.AccountID, Public: true}
	nobody := publish.Sharing{Owner: rehearsal.AccountID}
	refuse := func(region, action, code string) func(*world) {
		return func(w *world) {
			w.wire.failWith(func(c call) *failure {
				if c.region != region || !strings.HasPrefix(c.action, action) {
					return nil
				}
				return &failure{403, code, "Access Denied"}
			})
		}
	}
	for name, test := range map[string]struct {
		change  func(*publish.Spec)
		world   func(*world)
		sharing publish.Sharing
		body    string // added before the template
		want    []string
		warn    []string
	}{
		"nothing":              {sharing: everybody},
		"images of nobody yet": {sharing: publish.Sharing{}, warn: []string{"not checked whether its targets may launch the 3 images that do not exist yet"}},
		"two buckets missing": {sharing: everybody, world: func(w *world) {
			w.deleteBucket("us-east-1")
			w.deleteBucket("ap-south-1")
		}, want: []string{`s3 in ap-south-1: there is no bucket "templates-ap-south-1"`, `s3 in us-east-1: there is no bucket`}},
		"a bucket elsewhere": {sharing: everybody, world: func(w *world) {
			w.deleteBucket("us-east-1")
			w.makeBucket(bucketOf("us-east-1"), "eu-west-1")
		}, want: []string{"s3 in us-east-1: the bucket \"templates-us-east-1\" is in eu-west-1"}},
		"no read":             {sharing: everybody, world: refuse("ap-south-1", "GET", "AccessDenied"), want: []string{"s3 in ap-south-1: these credentials lack the permission s3:GetObject"}},
		"no write":            {sharing: everybody, world: refuse("ap-south-1", "PUT", "AccessDenied"), want: []string{"s3 in ap-south-1: these credentials lack the permission s3:PutObject"}},
		"no ACL":              {sharing: everybody, change: func(s *publish.Spec) { s.S3.ACL = "private" }, world: refuse("ap-south-1", "PUT", "AccessControlListNotSupported"), want: []string{"does not accept ACLs"}},
		"no parameter's read": {sharing: everybody, world: refuse("eu-central-1", "GetParameter", "AccessDeniedException"), want: []string{"ssm in eu-central-1: /ethminer/ami: these credentials lack the permission ssm:GetParameter"}},
		"a text parameter": {sharing: everybody, world: func(w *world) {
			w.putParameter("us-east-1", &ssm.PutParameterInput{Name: aws.String("/ethminer/ami"), Value: aws.String("x")})
		}, want: []string{`ssm in us-east-1: /ethminer/ami: it exists with data type "text"`}},
		"a version's parameter": {sharing: everybody, change: func(s *publish.Spec) { s.Version = "1.0.0" }, world: func(w *world) {
			w.putParameter("us-east-1", &ssm.PutParameterInput{Name: aws.String("/ethminer/1.0.0/ami"), Value: aws.String(imageIn("us-east-1", 1)), DataType: aws.String("aws:ec2:image")})
		}, want: []string{"the parameter of a version never changes"}},
		"a published version": {sharing: everybody, change: func(s *publish.Spec) { s.Version = "1.0.0" }, world: func(w *world) {
			w.putObject("us-east-1", "eth/templates/1.0.0/mining.template", "other")
		}, want: []string{`version "1.0.0" is already published`}},
		"parameters of the set": {sharing: everybody, body: "Parameters:\n  Wallet: {Type: String}\n  Pool: {Type: String}\n", want: []string{"without a value: Pool, Wallet;"}},
		"limited concurrency": {sharing: everybody, change: func(s *publish.Spec) { s.StackSet.Preferences.MaxConcurrentCount = aws.Int32(2) },
			warn: []string{"stack set mining: operation_preferences.max_concurrent_count: got 2, but CloudFormation changes 1 account at a time"}},
		"targets":            {sharing: nobody, want: []string{"us-east-1: account 111111111111, account 222222222222 may not launch", "ap-south-1: account"}},
		"no look at the set": {sharing: everybody, world: refuse("us-east-1", "DescribeStackSet", "AccessDenied"), want: []string{"lack the permission cloudformation:DescribeStackSet in us-east-1"}},
		"everything at once": {sharing: nobody, world: func(w *world) {
			for _, region := range three {
				w.deleteBucket(region)
			}
		}, body: "Parameters:\n  Wallet: {Type: String}\n  Pool: {Type: String}\n", want: []string{"s3 in us-east-1", "s3 in eu-central-1", "s3 in ap-south-1", "may not launch", "without a value: Pool, Wallet"}},
		"a template of 60 KB": {sharing: everybody, body: "Parameters:\n  Wallet: {Type: String}\n  Size: {Type: String, Default: !Ref x}\n#" + strings.Repeat("x", 60_000) + "\n", want: []string{"without a value: Wallet;"}, warn: []string{"template not validated: it has 60"}},
		"a placeholder row":   {sharing: everybody, change: func(s *publish.Spec) { s.StackSet.Regions = append([]string{"sa-east-1"}, three...) }, want: []string{"AWSRegion2AMI.sa-east-1.AMI is missing"}},
		"another attribute":   {sharing: everybody, change: func(s *publish.Spec) { s.Attributes = append(s.Attributes, "ARM") }, want: []string{"(s3, ssm, stack_set) cannot launch with ARM; run the build that fills ARM first"}},
		"an image that went":  {sharing: everybody, change: func(s *publish.Spec) { s.SSM.Regions = []string{"eu-west-1"} }, want: []string{"eu-west-1: AWSRegion2AMI.eu-west-1.AMI is ami-00000000000000063, which does not exist there"}},
		"no answers in the time": {sharing: everybody, world: func(w *world) {
			w.ctx = short(w)
			w.wire.reset(func(int, call) error {
				time.Sleep(30 * time.Millisecond)
				return nil
			})
		}, warn: []string{"not checked, because the request timed out"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, three...)
			s := setSpec(three...)
			s.SSM = spec(three...).SSM
			s.StackSet.CanaryRegion = ""
			if test.change != nil {
				test.change(&s)
			}
			if test.world != nil {
				test.world(w)
			}
			body := test.body + string(template(image, append([]string{"eu-west-1"}, three...)...))
			before := w.stored()
			outlook := w.publisher().Forecast(w.context(), publish.Forecast{
				Plan: w.plan(s, []byte(body)), Named: s.Version != "", Planned: planned(s, image, test.sharing),
			})
			var lines []string
			for _, err := range outlook.Problems {
				lines = append(lines, err.Error())
			}
			problems, warnings := strings.Join(lines, "\n"), strings.Join(outlook.Warnings, "\n")
			for _, want := range test.want {
				if !strings.Contains(problems, want) {
					t.Errorf("no %q in\n%s", want, problems)
				}
			}
			for _, want := range test.warn {
				if !strings.Contains(warnings, want) {
					t.Errorf("no %q in\n%s", want, warnings)
				}
			}
			if len(test.want) == 0 && problems != "" || len(test.warn) == 0 && warnings != "" {
				t.Errorf("problems %s\nwarnings %s", problems, warnings)
			}
			if after := w.stored(); after != before {
				t.Errorf("before the forecast there was\n%s\nafter it\n%s", before, after)
			}
		})
	}
}

// short is a context that ends before AWS responds.
func short(w *world) context.Context {
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Millisecond)
	w.Cleanup(cancel)
	return ctx
}

// The independent simulators agree, and keep nothing of the write whose condition
// does not hold, before and after a publication.
func TestForecastAgainstOthers(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, ...string) *world{
		"moto":      newMoto,
		"rehearsal": newWorld,
	} {
		t.Run(name, func(t *testing.T) {
			regions := []string{"us-east-1", "eu-west-1"}
			w := begin(t, regions...)
			s := setSpec(regions...)
			s.SSM = spec(regions...).SSM
			s.StackSet.Accounts, s.StackSet.CanaryRegion = []string{"123456789012"}, ""
			s.TrustImages = true
			w.putParameter("eu-west-1", &ssm.PutParameterInput{Name: aws.String("/ethminer/ami"), Value: aws.String("x")})
			s.S3.Regions = append(regions, "sa-east-1")
			s.S3.Bucket = "templates-{{ .Region }}"
			forecast := func() string {
				f := publish.Forecast{Plan: w.plan(s, template(1, s.S3.Regions...))}
				return fmt.Sprint(w.publisher().Forecast(t.Context(), f).Problems)
			}
			got := forecast()
			for _, want := range []string{`s3 in sa-east-1: there is no bucket "templates-sa-east-1"`, `ssm in eu-west-1: /ethminer/ami: it exists with data type "text"`} {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in %s", want, got)
				}
			}
			s.S3.Regions, s.SSM = regions, nil
			if got := forecast(); got != "[]" {
				t.Errorf("problems %s", got)
			}
			w.must(w.publish(s, template(1, regions...)))
			if got := forecast(); got != "[]" {
				t.Errorf("problems after a publication: %s", got)
			}
			for _, region := range regions {
				list, err := w.Clients().S3(region, bucketOf(region)).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucketOf(region))})
				w.must(err)
				for _, o := range list.Contents {
					if strings.Contains(*o.Key, "check") {
						t.Errorf("%s has %s", region, *o.Key)
					}
				}
			}
		})
	}
}
