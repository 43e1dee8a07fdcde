// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// Each failure has its own message, and leaves nothing as latest.
func TestMessages(t *testing.T) {
	denied := func(action, message string) func(call) *failure {
		return func(c call) *failure {
			if !strings.HasPrefix(c.action, action) {
				return nil
			}
			return &failure{403, "AccessDenied", message}
		}
	}
	for name, test := range map[string]struct {
		change func(*publish.Spec, *world)
		fail   func(call) *failure
		want   string
	}{
		"no bucket": {change: func(_ *publish.Spec, w *world) { w.deleteBucket("ap-south-1") }, want: `ap-south-1: there is no bucket "templates-ap-south-1"`},
		"wrong region": {change: func(_ *publish.Spec, w *world) {
			w.deleteBucket("ap-south-1")
			w.makeBucket(bucketOf("ap-south-1"), "eu-west-1")
		}, want: `"templates-ap-south-1" is in eu-west-1, not in ap-south-1`},
		"may not write": {fail: denied("PUT eth/templates/", "User: arn:aws:iam::111122223333:user/x is not authorized to perform: s3:PutObject on resource: x"),
			want: "lack the permission s3:PutObject in us-east-1"},
		"may not read, and S3 says no more": {fail: denied("GET ", "Access Denied"), want: "lack the permission s3:GetObject and s3:ListBucket in"},
		"public access block": {change: func(s *publish.Spec, _ *world) { s.S3.ACL = "public-read" },
			fail: denied("PUT eth/templates/", "User: x is not authorized to perform: s3:PutObject on resource: y because public access control lists (ACLs) are prevented by the BlockPublicAcls setting in S3 Block Public Access"),
			want: `blocks public access, and with it acl = "public-read"`},
		"no ACLs": {change: func(s *publish.Spec, _ *world) { s.S3.ACL = "private" }, fail: func(c call) *failure {
			if !strings.HasPrefix(c.action, "PUT ") {
				return nil
			}
			return &failure{400, "AccessControlListNotSupported", "The bucket does not allow ACLs"}
		}, want: "does not accept ACLs: remove acl"},
		"region not enabled": {fail: func(c call) *failure {
			if c.region != "ap-south-1" {
				return nil
			}
			return &failure{403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."}
		}, want: "ap-south-1 does not accept these credentials: the region may not be enabled for the account"},
		"a version of other content": {change: func(s *publish.Spec, w *world) {
			s.Version = "1.0.0"
			w.putObject("ap-south-1", "eth/templates/1.0.0/mining.template", "other")
		}, want: "a version never changes"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, three...)
			s := spec(three...)
			w.must(w.publish(s, template(1, three...)))
			if test.change != nil {
				test.change(&s, w)
			}
			w.wire.failWith(test.fail)
			err := w.publish(s, template(2, three...))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			w.wire.failWith(nil)
			for what := range w.latest(spec("us-east-1", "eu-central-1")) {
				if !strings.HasPrefix(what, w0(t, spec(three...), 1)) {
					t.Errorf("latest is %s", what)
				}
			}
		})
	}
}
