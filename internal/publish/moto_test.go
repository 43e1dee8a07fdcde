// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

// newMoto starts an independent AWS simulator with the buckets of the regions.
func newMoto(t *testing.T, regions ...string) *world {
	t.Helper()
	endpoint := *mototest.Start(t, "us-east-1").BaseEndpoint
	w := &world{T: t, wire: wire{to: http.DefaultTransport}}
	w.config = func(region string) aws.Config {
		return aws.Config{
			Region: region, BaseEndpoint: aws.String(endpoint),
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
			}),
		}
	}
	for _, region := range regions {
		w.makeBucket(bucketOf(region), region)
	}
	return w
}

// Three equal publications in parallel succeed as one.
func TestEqualBuildsInParallel(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, ...string) *world{"moto": newMoto, "rehearsal": newWorld} {
		t.Run(name, func(t *testing.T) {
			regions := []string{"us-east-1", "eu-west-1"}
			w := begin(t, regions...)
			s := spec(regions...)
			s.SSM, s.TrustImages = nil, true
			plan := w.plan(s, template(1, regions...))
			var group errgroup.Group
			for range 3 {
				group.Go(func() error { return w.publisher().Publish(t.Context(), plan) })
			}
			w.must(group.Wait())
			if latest := w.latest(s); latest[plan.Version+" number 1"] != 2 {
				t.Errorf("latest is %v", latest)
			}
			state, err := w.publisher().State(t.Context(), plan.Source())
			w.must(err)
			if !state.Sealed || state.Record.Number != 1 {
				t.Errorf("the state is %+v", state)
			}
		})
	}
}

var noParameters = regexp.MustCompile(`<Parameters\s*/>|<Parameters>\s*</Parameters>`)

// An independent S3, SSM and CloudFormation accept the requests: two publications,
// one without a change, and a rollback.
func TestAgainstMoto(t *testing.T) {
	regions := []string{"us-east-1", "eu-west-1"}
	w := newMoto(t, regions...)
	// moto has only its own images.
	out, err := w.Clients().EC2(regions[0]).DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"amazon"}})
	w.must(err)
	images[1], images[2] = *out.Images[0].ImageId, *out.Images[1].ImageId
	defer clear(images)

	s := spec(regions...)
	s.StackSet = &stackset.Config{
		Name: "mining", Region: "us-east-1", Regions: regions, Accounts: []string{"123456789012"}, CanaryRegion: "eu-west-1", OnFailure: stackset.Restore,
		Preferences: stackset.Preferences{RegionConcurrencyType: "PARALLEL", FailureToleranceCount: aws.Int32(0), MaxConcurrentCount: aws.Int32(1)},
	}
	s.S3.ACL, s.S3.KMSKeyID = "public-read", "alias/templates-{{ .Region }}"
	s.S3.Tags = map[string]string{"team": "mining + co=1", "cost": "1"}
	one, two := w.plan(s, template(1, regions...)), w.plan(s, template(2, regions...))
	for _, p := range []*publish.Plan{one, two, two} {
		w.must(w.publisher().Publish(t.Context(), p))
	}
	state, err := w.publisher().State(t.Context(), two.Source())
	w.must(err)
	if state.Latest.Version != two.Version || state.Latest.Number != 2 || !state.Sealed || state.Record.Previous != one.Version {
		t.Errorf("the state is %+v", state)
	}
	at := two.Places[1]
	object, err := w.Clients().S3(at.Region, at.Bucket).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &at.Bucket, Key: &at.Latest})
	w.must(err)
	if aws.ToString(object.SSEKMSKeyId) != "alias/templates-eu-west-1" || aws.ToString(object.CacheControl) != "no-cache" || aws.ToString(object.ContentType) != "application/yaml" {
		t.Errorf("latest has the key %q, cache control %q, content type %q", aws.ToString(object.SSEKMSKeyId), aws.ToString(object.CacheControl), aws.ToString(object.ContentType))
	}
	tags, err := w.Clients().S3(at.Region, at.Bucket).GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &at.Bucket, Key: &at.Key})
	w.must(err)
	if len(tags.TagSet) != 2 {
		t.Errorf("the tags are %v", tags.TagSet)
	}
	for _, tag := range tags.TagSet {
		if s.S3.Tags[*tag.Key] != *tag.Value {
			t.Errorf("the tag %s is %q", *tag.Key, *tag.Value)
		}
	}
	acl, err := w.Clients().S3(at.Region, at.Bucket).GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: &at.Bucket, Key: &at.Key})
	w.must(err)
	if len(acl.Grants) != 2 {
		t.Errorf("the grants are %+v", acl.Grants)
	}
	check := func() {
		t.Helper()
		state, err := w.publisher().State(t.Context(), two.Source())
		w.must(err)
		findings, err := w.publisher().Check(t.Context(), state)
		w.must(err)
		for _, f := range findings {
			if !f.OK() {
				t.Errorf("%+v", f)
			}
		}
		if len(findings) != 2+4+3 {
			t.Errorf("%d findings: %+v", len(findings), findings)
		}
	}
	check()
	back, err := w.publisher().RollbackPlan(t.Context(), state, "")
	w.must(err)
	w.must(w.publisher().Publish(t.Context(), back))
	check()
	if seen := w.seen(s, one.Version); strings.Count(seen, one.Version+" number 3") != 2 || !strings.Contains(seen, "Description: number 1") {
		t.Errorf("after the rollback there is\n%s", seen)
	}
	history, err := w.publisher().History(t.Context(), two.Source(), 10)
	w.must(err)
	if len(history) != 3 || history[0].Action != publish.RollingBack || !history[0].Sealed || history[2].Version != one.Version {
		t.Errorf("the history is %+v", history)
	}

	// Overrides at creation, changed, and reset. moto's ValidateTemplate returns no
	// parameters.
	w.wire.to = &edits{to: w.wire.to, response: func(c call, body string) string {
		if c.action != "ValidateTemplate" {
			return body
		}
		with := noParameters.ReplaceAllString(body, "<Parameters><member><ParameterKey>Subnets</ParameterKey></member></Parameters>")
		if with == body {
			t.Errorf("moto returns %s", body)
		}
		return with
	}}
	s.StackSet = &stackset.Config{
		Name: "fleet", Region: "us-east-1", Regions: regions, Accounts: []string{"123456789012"}, OnFailure: stackset.Keep, Parameters: map[string]string{"Subnets": "set"},
	}
	body := append([]byte("Parameters:\n  Subnets: {Type: String}\n"), template(2, regions...)...)
	body = append(body, "  Subnets:\n    Value: !Ref Subnets\n"...)
	for _, value := range []string{"subnet-1", "subnet-2", ""} {
		if s.StackSet.Overrides = nil; value != "" {
			s.StackSet.Overrides = []stackset.Override{stackset.NewOverride(regions[1:], nil, map[string]string{"Subnets": value})}
		}
		w.must(w.publish(s, body))
		for _, region := range regions {
			out, err := w.Clients().CloudFormation("us-east-1").DescribeStackInstance(t.Context(), &cloudformation.DescribeStackInstanceInput{
				StackSetName: aws.String("fleet"), StackInstanceAccount: aws.String("123456789012"), StackInstanceRegion: &region,
			})
			w.must(err)
			got := ""
			for _, p := range out.StackInstance.ParameterOverrides {
				got += *p.ParameterKey + "=" + *p.ParameterValue
			}
			if want := map[bool]string{true: "Subnets=" + value}[region == regions[1] && value != ""]; got != want {
				t.Errorf("%s has the overrides %q, want %q", region, got, want)
			}
		}
	}

	missing := s
	missing.S3.Bucket = "nobody-{{ .Region }}"
	if err := w.publish(missing, template(2, regions...)); err == nil || !strings.Contains(err.Error(), `there is no bucket "nobody-us-east-1"`) {
		t.Errorf("without a bucket: %v", err)
	}
}
