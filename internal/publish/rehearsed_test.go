// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// If a call fails in one region of a rehearsal before the flip, no latest changes
// in any region.
func TestRehearsedFault(t *testing.T) {
	regions := regionsOfAWS(30)
	w := newWorld(t, regions...)
	s := spec(regions...)
	w.must(w.publish(s, template(1, regions...)))
	before := w.server.Calls()[regions[17]]["PutObject"]
	w.server.AddFault(rehearsal.Fault{Action: "PutObject", Region: regions[17], Code: "SlowDown", Message: "Please reduce your request rate."})
	err := w.publish(s, template(2, regions...))
	if err == nil || !strings.Contains(err.Error(), regions[17]) {
		t.Errorf("error %v", err)
	}
	if got := w.server.Calls()[regions[17]]["PutObject"]; got == before {
		t.Error("the call was not counted")
	}
	one := w0(t, s, 1)
	if latest := w.latest(s); latest[one+" number 1"] != 30 {
		t.Errorf("latest is %v", latest)
	}
	w.server.ClearFaults()
	w.must(w.publish(s, template(2, regions...)))
	if latest := w.latest(s); latest[w0(t, s, 2)+" number 2"] != 30 {
		t.Errorf("run again: %v", latest)
	}
}

// Errors of a rehearsal have the same messages as those of AWS.
func TestRehearsedMessages(t *testing.T) {
	for name, test := range map[string]struct{ bucket, acl, want string }{
		"no bucket":           {bucket: "nobody-{{ .Region }}", want: `there is no bucket "nobody-us-east-1"`},
		"no ACLs":             {acl: "private", want: "does not accept ACLs: remove acl"},
		"public access block": {acl: "public-read", want: `blocks public access, and with it acl = "public-read"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, three...)
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
	w := newWorld(t, three...)
	_, err := w.Clients().S3("eu-central-1", "templates-ap-south-1").GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("templates-ap-south-1"), Key: aws.String("k")})
	if err == nil || !strings.Contains(err.Error(), "PermanentRedirect") {
		t.Errorf("in the wrong region: %v", err)
	}
}

// SSM validates an image after a while, and never accepts one that does not exist;
// the previous value stays.
func TestRehearsedParameters(t *testing.T) {
	w := newWorldWith(t, rehearsal.Config{Clock: pace.System{}, Pace: pace.Profile{Parameter: 20 * time.Millisecond}}, "us-east-1")
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
	s.SSM.Timeout, s.TrustImages = 100*time.Millisecond, true
	if err := w.publish(s, template(number, "us-east-1")); err == nil || !strings.Contains(err.Error(), "SSM has not validated "+imageIn("us-east-1", number)) {
		t.Errorf("error %v", err)
	}
	if seen := w.seen(s, "0"); !strings.Contains(seen, "/ethminer/ami "+imageIn("us-east-1", 1)) {
		t.Errorf("there is\n%s", seen)
	}
}

// A missing permission is reported, and nothing becomes latest.
func TestRehearsedPolicy(t *testing.T) {
	document, err := policy.Parse([]byte(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldWith(t, rehearsal.Config{Policy: document}, "us-east-1")
	s := spec("us-east-1")
	if err := w.publish(s, template(1, "us-east-1")); err == nil || !strings.Contains(err.Error(), "lack the permission s3:PutObject in us-east-1") {
		t.Errorf("error %v", err)
	}
	if latest := w.latest(s); latest["NoSuchKey"] != 1 {
		t.Errorf("latest is %v", latest)
	}
}
