// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package api

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Fields returns the values that a filter matches against; ok is false for an unknown
// filter.
type Fields func(name string) (values []string, ok bool)

// Matches reports whether a resource passes every Filter of the request. It matches
// tags itself; f returns the other fields.
func (r *Request) Matches(tags TagList, f Fields) (bool, error) {
	for _, filter := range r.Params.Items("Filter") {
		name := filter.Get("Name")
		var have []string
		switch key, isTag := strings.CutPrefix(name, "tag:"); {
		case isTag:
			if v, ok := tags.Get(key); ok {
				have = []string{v}
			}
		case name == "tag-key":
			for _, t := range tags.Items {
				have = append(have, t.Key)
			}
		default:
			var ok bool
			if have, ok = f(name); !ok {
				return false, query.Errorf("InvalidParameterValue", "The filter '%s' is invalid", name)
			}
		}
		if !anyMatch(filter.List("Value"), have) {
			return false, nil
		}
	}
	return true, nil
}

func anyMatch(patterns, values []string) bool {
	for _, p := range patterns {
		for _, v := range values {
			if wildcard(p, v) {
				return true
			}
		}
	}
	return false
}

// wildcard matches like EC2's filters: * is any text, ? is any character, \ escapes the
// next character. The match is case-sensitive.
func wildcard(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	switch pattern[0] {
	case '*':
		for i := 0; i <= len(text); i++ {
			if wildcard(pattern[1:], text[i:]) {
				return true
			}
		}
		return false
	case '?':
		return text != "" && wildcard(pattern[1:], text[1:])
	case '\\':
		if len(pattern) > 1 {
			pattern = pattern[1:]
		}
	}
	return text != "" && text[0] == pattern[0] && wildcard(pattern[1:], text[1:])
}

// Page returns the requested part of items and the token of the next part. minimum is
// the smallest MaxResults that the action accepts.
func Page[T any](r *Request, items []T, minimum int) (query.Set[T], string, error) {
	size, err := r.Params.Int("MaxResults", 0)
	if err != nil {
		return query.Set[T]{}, "", err
	}
	if r.Params.Has("MaxResults") && size < minimum {
		return query.Set[T]{}, "", query.Errorf("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than or equal to %d.", size, minimum)
	}
	start := 0
	if token := r.Params.Get("NextToken"); token != "" {
		text, err := base64.RawURLEncoding.DecodeString(token)
		from, found := strings.CutPrefix(string(text), r.Action+":")
		n, convErr := strconv.Atoi(from)
		if err != nil || convErr != nil || !found {
			return query.Set[T]{}, "", query.Errorf("InvalidNextToken", "The token '%s' is invalid", token)
		}
		start = min(n, len(items))
	}
	forced := r.PageSize
	if size == 0 && forced > 0 && !r.asksByID() {
		if !r.Params.Has("NextToken") {
			return query.SetOf[T](), base64.RawURLEncoding.EncodeToString([]byte(r.Action + ":0")), nil
		}
		size = forced
	}
	items = items[start:]
	if size == 0 || size >= len(items) {
		return query.SetOf(items...), "", nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(r.Action + ":" + strconv.Itoa(start+size)))
	return query.SetOf(items[:size]...), next, nil
}

// asksByID reports whether the request names resources, which have no pages.
func (r *Request) asksByID() bool {
	for name := range r.Params {
		if strings.HasSuffix(name, "Id.1") {
			return true
		}
	}
	return false
}

// Contains reports whether list contains v; an empty list contains everything.
func Contains(list []string, v string) bool {
	for _, have := range list {
		if have == v {
			return true
		}
	}
	return len(list) == 0
}
