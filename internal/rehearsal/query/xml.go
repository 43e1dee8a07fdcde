// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package query

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Error is an AWS error.
type Error struct {
	Code    string
	Message string
	Status  int // HTTP status; 0 for 400
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// HTTPStatus returns the HTTP status of the error.
func (e *Error) HTTPStatus() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// Errorf returns an error with status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Set is an XML list: an element that is present even if empty, with a child item for
// each member.
type Set[T any] struct {
	Items []T `xml:"item"`
}

// SetOf returns a list of its arguments.
func SetOf[T any](items ...T) Set[T] { return Set[T]{Items: items} }

// Members is the list of services other than EC2, whose children are named member. In
// JSON it is an array.
type Members[T any] struct {
	Items []T `xml:"member"`
}

// MarshalJSON renders the array.
func (m Members[T]) MarshalJSON() ([]byte, error) {
	if m.Items == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(m.Items)
}

// Dialect contains the differences between the services of the query protocol.
type Dialect struct {
	// Namespace is the XML namespace of responses.
	Namespace string
	// Wrapped responses are in an ActionResult beside ResponseMetadata, as for STS;
	// responses of EC2 are in the root beside requestId.
	Wrapped bool
}

// dialects contains the dialects by the services' names in signatures.
var dialects = map[string]Dialect{
	"ec2":            {Namespace: "http://ec2.amazonaws.com/doc/2016-11-15/"},
	"iam":            {Namespace: "https://iam.amazonaws.com/doc/2010-05-08/", Wrapped: true},
	"sts":            {Namespace: "https://sts.amazonaws.com/doc/2011-06-15/", Wrapped: true},
	"cloudformation": {Namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/", Wrapped: true},
	"autoscaling":    {Namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/", Wrapped: true},
	"monitoring":     {Namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/", Wrapped: true},
}

// DialectOf returns the dialect of a service, or EC2's for an unknown service.
func DialectOf(service string) Dialect {
	if d, ok := dialects[service]; ok {
		return d
	}
	return dialects["ec2"]
}

// ContentType is the content type of responses.
func (Dialect) ContentType() string { return "text/xml;charset=UTF-8" }

// Request parses the form of a request. It omits the protocol's own fields and the
// signature of a presigned request. Lists are named as in EC2 and JSON: Regions.1, not
// Regions.member.1.
func (d Dialect) Request(r *http.Request) (action string, p Params, err error) {
	if err := r.ParseForm(); err != nil {
		return "", nil, Errorf("MalformedQueryString", "The query string contains a syntax error: %v", err)
	}
	p = FromForm(r.Form)
	for name := range p {
		if name == "Action" || name == "Version" || strings.HasPrefix(name, "X-Amz-") {
			delete(p, name)
		}
		if plain := strings.ReplaceAll(name, ".member.", "."); d.Wrapped && plain != name {
			p[plain] = p[name]
			delete(p, name)
		}
	}
	return r.Form.Get("Action"), p, nil
}

// Response renders the response to an action. body is a struct with xml tags, Raw, or
// nil for a response without data.
func (d Dialect) Response(action, requestID string, body any) ([]byte, error) {
	inner, err := Encode(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the response to %s: %w", action, err)
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	fmt.Fprintf(&b, "<%sResponse xmlns=%q>", action, d.Namespace)
	if d.Wrapped {
		fmt.Fprintf(&b, "<%sResult>%s</%sResult>", action, inner, action)
		fmt.Fprintf(&b, "<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata>", requestID)
	} else {
		fmt.Fprintf(&b, "<requestId>%s</requestId>%s", requestID, inner)
	}
	fmt.Fprintf(&b, "</%sResponse>", action)
	return b.Bytes(), nil
}

// Failure renders an error.
func (d Dialect) Failure(requestID string, e *Error) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	if d.Wrapped {
		fmt.Fprintf(&b, "<ErrorResponse xmlns=%q><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>",
			d.Namespace, escape(e.Code), escape(e.Message), requestID)
	} else {
		fmt.Fprintf(&b, "<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>",
			escape(e.Code), escape(e.Message), requestID)
	}
	return b.Bytes()
}

// Raw is a response body that is already XML.
type Raw []byte

// Encode renders the body of a response. A service calls it while its state is locked,
// since the body may refer to that state.
func Encode(body any) (Raw, error) {
	if raw, ok := body.(Raw); ok || body == nil {
		return raw, nil
	}
	var b bytes.Buffer
	if err := xml.NewEncoder(&b).EncodeElement(body, xml.StartElement{Name: xml.Name{Local: "R"}}); err != nil {
		return nil, err
	}
	inner := bytes.TrimPrefix(b.Bytes(), []byte("<R>"))
	return bytes.TrimSuffix(inner, []byte("</R>")), nil
}

// Decode decodes the body of a response, XML or JSON, into a struct with its names.
func Decode(body, out any) error {
	if raw, ok := body.(Raw); ok {
		return xml.Unmarshal(slices.Concat([]byte("<R>"), raw, []byte("</R>")), out)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// Client calls an action of a service in a region and decodes the response into out,
// which is nil to discard it. Services that create resources in other services use it.
type Client func(service, region, action string, p Params, out any) error

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // writes to a buffer cannot fail
	return b.String()
}
