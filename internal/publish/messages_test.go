// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
)

// What goes wrong, each in its own words, and nothing is latest then.
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
		change func(*publish.Spec, *fake)
		fail   func(call) *failure
		want   string
	}{
		"no bucket":    {change: func(_ *publish.Spec, f *fake) { delete(f.buckets, bucketOf("ap-south-1")) }, want: `ap-south-1: there is no bucket "templates-ap-south-1"`},
		"wrong region": {change: func(_ *publish.Spec, f *fake) { f.buckets[bucketOf("ap-south-1")] = "eu-west-1" }, want: `"templates-ap-south-1" is in eu-west-1, not in ap-south-1`},
		"may not write": {fail: denied("PUT eth/templates/", "User: arn:aws:iam::111122223333:user/x is not authorized to perform: s3:PutObject on resource: x"),
			want: "lack the permission s3:PutObject in us-east-1"},
		"may not read, and S3 says no more": {fail: denied("GET ", "Access Denied"), want: "lack the permission s3:GetObject and s3:ListBucket in"},
		"public access block": {change: func(s *publish.Spec, _ *fake) { s.S3.ACL = "public-read" },
			fail: denied("PUT eth/templates/", "User: x is not authorized to perform: s3:PutObject on resource: y because public access control lists (ACLs) are prevented by the BlockPublicAcls setting in S3 Block Public Access"),
			want: `blocks public access and so acl = "public-read"`},
		"no ACLs": {change: func(s *publish.Spec, _ *fake) { s.S3.ACL = "private" }, fail: func(c call) *failure {
			if !strings.HasPrefix(c.action, "PUT ") {
				return nil
			}
			return &failure{400, "AccessControlListNotSupported", "The bucket does not allow ACLs"}
		}, want: "takes no ACLs: leave acl out"},
		"region not enabled": {fail: func(c call) *failure {
			if c.region != "ap-south-1" {
				return nil
			}
			return &failure{403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."}
		}, want: "ap-south-1 does not know these credentials: it may not be enabled for the account"},
		"a version of other content": {change: func(s *publish.Spec, f *fake) {
			s.Version = "1.0.0"
			f.objects["templates-ap-south-1/eth/templates/1.0.0/mining.template"] = object{body: []byte("other"), meta: http.Header{}}
		}, want: "a version never changes"},
	} {
		t.Run(name, func(t *testing.T) {
			w, f := newFake(t, three...)
			s := spec(three...)
			w.must(w.publish(s, template(1, three...)))
			if test.change != nil {
				test.change(&s, f)
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
