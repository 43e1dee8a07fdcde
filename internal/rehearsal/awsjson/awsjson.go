// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package awsjson implements AWS's JSON protocol 1.1: the header X-Amz-Target names
// the action, and request and response are JSON objects
// (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html). Services receive
// the request as query.Params, as with the query protocol, so that faults and tests
// use the same parameter names.
package awsjson

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// TargetHeader is the header with the protocol's service name and the action, such as
// AWSPriceListService.GetProducts.
const TargetHeader = "X-Amz-Target"

// maxBody is the maximum size of an uncompressed request in bytes.
const maxBody = 8 << 20

// Protocol is the protocol of all these services.
type Protocol struct{}

// ContentType is the content type of responses.
func (Protocol) ContentType() string { return "application/x-amz-json-1.1" }

// Request parses a request. {"Filters": [{"Field": "a"}]} becomes Filters.1.Field.
func (Protocol) Request(r *http.Request) (action string, p query.Params, err error) {
	target := r.Header.Get(TargetHeader)
	action = target[strings.LastIndexByte(target, '.')+1:]
	in := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" { // SDKs compress long PutMetricData requests
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return action, nil, query.Errorf("SerializationException", "The body is not gzip: %v", err)
		}
		in = io.LimitReader(unpacked, maxBody)
	}
	d := json.NewDecoder(in)
	d.UseNumber()
	var body map[string]any
	if err := d.Decode(&body); err != nil {
		return action, nil, query.Errorf("SerializationException", "The body is not a JSON object: %v", err)
	}
	p = query.Params{}
	for name, v := range body {
		flatten(p, name, v)
	}
	return action, p, nil
}

func flatten(p query.Params, name string, v any) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for key, part := range v {
			flatten(p, name+"."+key, part)
		}
	case []any:
		for i, part := range v {
			flatten(p, name+"."+strconv.Itoa(i+1), part)
		}
	default: // string, bool, json.Number
		p[name] = fmt.Sprint(v)
	}
}

// Response renders the response to an action: body, encoded by encoding/json.
func (Protocol) Response(action, _ string, body any) ([]byte, error) {
	if body == nil {
		return []byte("{}"), nil
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the response to %s: %w", action, err)
	}
	return text, nil
}

// Failure renders an error.
func (Protocol) Failure(_ string, e *query.Error) []byte {
	text, _ := json.Marshal(struct { // strings always encode
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{e.Code, e.Message})
	return text
}
