// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package s3

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// MaxBody is the maximum size of a body in bytes. S3 itself allows 5 GiB.
const MaxBody = 64 << 20

// Request is a parsed S3 request.
type Request struct {
	Action      string // name in the API, such as PutObject; empty if unknown
	Bucket, Key string
	Params      query.Params // parameters that faults can match: Bucket, Key, Prefix, VersionId, ACL, Tagging

	header http.Header
	query  url.Values
	body   []byte
}

// routes maps method, kind of resource (b for bucket, o for object) and sub-resource to
// actions.
var routes = map[string]string{
	"GET": "ListBuckets",

	"PUT b": "CreateBucket", "HEAD b": "HeadBucket", "DELETE b": "DeleteBucket", "GET b": "ListObjects", "GET b list-type": "ListObjectsV2",
	"GET b versions": "ListObjectVersions", "POST b delete": "DeleteObjects", "GET b location": "GetBucketLocation", "GET b acl": "GetBucketAcl",
	"GET b versioning": "GetBucketVersioning", "PUT b versioning": "PutBucketVersioning",
	"GET b publicAccessBlock": "GetPublicAccessBlock", "PUT b publicAccessBlock": "PutPublicAccessBlock", "DELETE b publicAccessBlock": "DeletePublicAccessBlock",
	"GET b ownershipControls": "GetBucketOwnershipControls", "PUT b ownershipControls": "PutBucketOwnershipControls", "DELETE b ownershipControls": "DeleteBucketOwnershipControls",
	"GET b tagging": "GetBucketTagging", "PUT b tagging": "PutBucketTagging", "DELETE b tagging": "DeleteBucketTagging",

	"PUT o": "PutObject", "GET o": "GetObject", "HEAD o": "HeadObject", "DELETE o": "DeleteObject",
	"GET o tagging": "GetObjectTagging", "PUT o tagging": "PutObjectTagging", "DELETE o tagging": "DeleteObjectTagging",
	"GET o acl": "GetObjectAcl", "PUT o acl": "PutObjectAcl",
}

// subresources lists all sub-resources of S3. A request for an unsupported one must not
// act on the object or bucket itself.
var subresources = strings.Fields(`accelerate acl analytics attributes cors delete encryption intelligent-tiering inventory legal-hold lifecycle
	list-type location logging metrics notification object-lock ownershipControls policy policyStatus publicAccessBlock replication requestPayment
	restore retention select tagging torrent uploadId uploads versioning versions website`)

// Read parses a request. If the body cannot be read, the error is returned together
// with the rest of the request.
func Read(r *http.Request) (*Request, error) {
	q := &Request{header: r.Header, query: r.URL.Query()}
	q.Bucket, q.Key = name(r)
	what := r.Method
	switch {
	case q.Key != "":
		what += " o"
	case q.Bucket != "":
		what += " b"
	}
	for _, sub := range subresources {
		if q.query.Has(sub) {
			what += " " + sub
		}
	}
	q.Action = routes[what]
	if q.Action == "PutObject" && q.header.Get("x-amz-copy-source") != "" {
		q.Action = "CopyObject"
	}
	q.Params = query.Params{}
	for name, value := range map[string]string{
		"Bucket": q.Bucket, "Key": q.Key, "Prefix": q.query.Get("prefix"), "VersionId": q.query.Get("versionId"),
		"ACL": q.header.Get("x-amz-acl"), "Tagging": q.header.Get("x-amz-tagging"),
	} {
		if value != "" {
			q.Params[name] = value
		}
	}
	var err error
	if q.body, err = io.ReadAll(io.LimitReader(r.Body, MaxBody+1)); err != nil {
		return q, fail(400, "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header: "+err.Error())
	}
	if len(q.body) > MaxBody {
		return q, fail(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size of the rehearsal")
	}
	return q, nil
}

// name returns the bucket and the key. The bucket is in the host
// (BUCKET.s3.REGION.amazonaws.com) or in the path.
func name(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if i := strings.LastIndex(r.Host, ".s3."); i > 0 {
		return r.Host[:i], path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// namespace is the XML namespace of S3.
const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// writeXML encodes body as the response, with root as its root element.
func (c *call) writeXML(root string, body any) error {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	start := xml.StartElement{Name: xml.Name{Local: root}, Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: namespace}}}
	if err := xml.NewEncoder(&b).EncodeElement(body, start); err != nil {
		return fail(500, "InternalError", err.Error())
	}
	c.out.Header.Set("Content-Type", "application/xml")
	c.out.Body = b.Bytes()
	return nil
}

// bodyXML parses the request's body.
func (c *call) bodyXML(into any) error {
	if err := xml.Unmarshal(c.body, into); err != nil {
		return fail(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	return nil
}

// Failure renders an error as S3 does. The response to HEAD has no body.
func Failure(requestID string, q *Request, e *query.Error) []byte {
	v := struct {
		XMLName    xml.Name `xml:"Error"`
		Code       string
		Message    string
		BucketName string `xml:",omitempty"`
		Key        string `xml:",omitempty"`
		RequestID  string `xml:"RequestId"`
		HostID     string `xml:"HostId"`
	}{Code: e.Code, Message: e.Message, BucketName: q.Bucket, Key: q.Key, RequestID: requestID, HostID: "rehearsal"}
	text, err := xml.Marshal(v)
	if err != nil {
		return nil // strings always encode
	}
	return append([]byte(xml.Header), text...)
}
