// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package awsjson speaks the JSON protocol of AWS, 1.1: the header X-Amz-Target
// names the action, request and answer are a JSON object each
// (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html). Services
// see the request as query.Params, as if it had come by the query protocol, so
// that faults and tests name its parts in one way.
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

// TargetHeader carries the service's name in the protocol, and the action:
// AWSPriceListService.GetProducts.
const TargetHeader = "X-Amz-Target"

// maxBody is what a request may unpack to, in bytes.
const maxBody = 8 << 20

// Protocol is the protocol of every such service.
type Protocol struct{}

// ContentType is that of answers.
func (Protocol) ContentType() string { return "application/x-amz-json-1.1" }

// Request reads a request. {"Filters": [{"Field": "a"}]} becomes Filters.1.Field.
func (Protocol) Request(r *http.Request) (action string, p query.Params, err error) {
	target := r.Header.Get(TargetHeader)
	action = target[strings.LastIndexByte(target, '.')+1:]
	in := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" { // as SDKs send long PutMetricData
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return action, nil, query.Errorf("SerializationException", "The body is no gzip: %v", err)
		}
		in = io.LimitReader(unpacked, maxBody)
	}
	d := json.NewDecoder(in)
	d.UseNumber()
	var body map[string]any
	if err := d.Decode(&body); err != nil {
		return action, nil, query.Errorf("SerializationException", "The body is no JSON object: %v", err)
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

// Answer renders the answer to an action: what encoding/json makes of body.
func (Protocol) Answer(action, _ string, body any) ([]byte, error) {
	if body == nil {
		return []byte("{}"), nil
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the answer to %s: %w", action, err)
	}
	return text, nil
}

// Failure renders an error.
func (Protocol) Failure(_ string, e *query.Error) []byte {
	text, _ := json.Marshal(struct { // two strings: cannot fail
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{e.Code, e.Message})
	return text
}
