// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// newRehearsed is the AWS of a rehearsal, in this process, with the buckets of
// the regions. Its templates name the public images that it has.
func newRehearsed(t *testing.T, regions ...string) (*world, *rehearsal.Server) {
	t.Helper()
	server := rehearsal.New(rehearsal.Config{OptIn: true})
	return rehearsed(t, server, regions...), server
}

func rehearsed(t *testing.T, server *rehearsal.Server, regions ...string) *world {
	t.Helper()
	t.Cleanup(func() { _ = server.Close() })
	transport := server.AWSConfig("us-east-1").HTTPClient.(*http.Client).Transport
	w := &world{T: t, wire: wire{to: transport}}
	w.config = func(region string) aws.Config {
		c := server.AWSConfig(region)
		c.RetryMaxAttempts = 1
		return c
	}
	if imagesIn == nil {
		imagesIn = map[string]map[int]string{}
		t.Cleanup(func() { imagesIn = nil })
	}
	w.makeBuckets(regions...)
	for _, region := range regions {
		if imagesIn[region] != nil {
			continue // public images have the same ids in every rehearsal
		}
		out, err := ec2.NewFromConfig(w.aws(region)).DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"099720109477"}})
		w.must(err)
		imagesIn[region] = map[int]string{}
		for i, image := range out.Images {
			imagesIn[region][i+1] = *image.ImageId
		}
	}
	w.wire.reset(nil)
	return w
}

// regionsOfAWS are thirty that a rehearsal has.
func regionsOfAWS(t *testing.T) (list []string) {
	t.Helper()
	server := rehearsal.New(rehearsal.Config{OptIn: true})
	defer func() { _ = server.Close() }()
	out, err := ec2.NewFromConfig(server.AWSConfig("us-east-1")).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range out.Regions {
		list = append(list, *r.RegionName)
	}
	if len(list) < 30 {
		t.Fatalf("a rehearsal has %d regions", len(list))
	}
	return list[:30]
}

// A call that fails in one region of a rehearsal, by its faults: before the
// flip, no latest changes in any region.
func TestRehearsedFault(t *testing.T) {
	regions := regionsOfAWS(t)
	w, server := newRehearsed(t, regions...)
	s := spec(regions...)
	w.must(w.publish(s, template(1, regions...)))
	before := server.Calls()[regions[17]]["PutObject"]
	server.AddFault(rehearsal.Fault{Action: "PutObject", Region: regions[17], Code: "SlowDown", Message: "Please reduce your request rate."})
	err := w.publish(s, template(2, regions...))
	if err == nil || !strings.Contains(err.Error(), regions[17]) {
		t.Errorf("error %v", err)
	}
	if got := server.Calls()[regions[17]]["PutObject"]; got == before {
		t.Error("the call was not counted")
	}
	one := w0(t, s, 1)
	if latest := w.latest(s); latest[one+" number 1"] != 30 {
		t.Errorf("latest is %v", latest)
	}
	server.ClearFaults()
	w.must(w.publish(s, template(2, regions...)))
	if latest := w.latest(s); latest[w0(t, s, 2)+" number 2"] != 30 {
		t.Errorf("run again: %v", latest)
	}
}

// What a rehearsal refuses is told as what AWS refuses.
func TestRehearsedMessages(t *testing.T) {
	for name, test := range map[string]struct{ bucket, acl, want string }{
		"no bucket":           {bucket: "nobody-{{ .Region }}", want: `there is no bucket "nobody-us-east-1"`},
		"no ACLs":             {acl: "private", want: "takes no ACLs: leave acl out"},
		"public access block": {acl: "public-read", want: `blocks public access and so acl = "public-read"`},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newRehearsed(t, three...)
			s := spec(three...)
			if s.S3.ACL = test.acl; test.bucket != "" {
				s.S3.Bucket = test.bucket
			}
			if strings.HasPrefix(test.acl, "public-") {
				for _, r := range three {
					_, err := w.Clients().S3(r, bucketOf(r)).PutBucketOwnershipControls(t.Context(), &s3.PutBucketOwnershipControlsInput{
						Bucket: aws.String(bucketOf(r)), OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnershipObjectWriter}}},
					})
					w.must(err)
				}
			}
			if err := w.publish(s, template(1, three...)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	w, _ := newRehearsed(t, three...)
	_, err := w.Clients().S3("eu-central-1", "templates-ap-south-1").GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("templates-ap-south-1"), Key: aws.String("k")})
	if err == nil || !strings.Contains(err.Error(), "PermanentRedirect") {
		t.Errorf("in the wrong region: %v", err)
	}
}

// SSM takes its time over an image, and never takes one that is not there; what
// it had stays.
func TestRehearsedParameters(t *testing.T) {
	w := rehearsed(t, rehearsal.New(rehearsal.Config{Pace: pace.Profile{Parameter: 20 * time.Millisecond}}), "us-east-1")
	s := spec("us-east-1")
	w.must(w.publish(s, template(1, "us-east-1")))
	looked := 0
	for _, c := range w.wire.reset(nil) {
		if c.action == "GetParameter" {
			looked++
		}
	}
	if looked <= 4 { // two parameters: one look before each, and one at least after it
		t.Errorf("looked %d times: SSM took no time", looked)
	}
	const number = 99 // whose image is in no rehearsal
	s.SSM.Timeout = 100 * time.Millisecond
	if err := w.publish(s, template(number, "us-east-1")); err == nil || !strings.Contains(err.Error(), "SSM has not taken "+imageOf(number)) {
		t.Errorf("error %v", err)
	}
	if seen := w.seen(s, "0"); !strings.Contains(seen, "/ethminer/ami "+imageIn("us-east-1", 1)) {
		t.Errorf("there is\n%s", seen)
	}
}

// A permission that is missing is named, and nothing is latest.
func TestRehearsedPolicy(t *testing.T) {
	document, err := policy.Parse([]byte(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	w := rehearsed(t, rehearsal.New(rehearsal.Config{Policy: document}), "us-east-1")
	s := spec("us-east-1")
	if err := w.publish(s, template(1, "us-east-1")); err == nil || !strings.Contains(err.Error(), "lack the permission s3:PutObject in us-east-1") {
		t.Errorf("error %v", err)
	}
	if latest := w.latest(s); latest["NoSuchKey"] != 1 {
		t.Errorf("latest is %v", latest)
	}
}
