// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// fields gives the values that a filter of that name looks at; ok is false
// where there is no such filter.
type fields func(name string) (values []string, ok bool)

// matches says whether a resource passes every Filter of the request. Tags are
// looked at here, the rest by f.
func (c *call) matches(tags tagList, f fields) (bool, error) {
	for _, filter := range c.p.Items("Filter") {
		name := filter.Get("Name")
		var have []string
		switch key, isTag := strings.CutPrefix(name, "tag:"); {
		case isTag:
			if v, ok := tags.get(key); ok {
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

// wildcard matches as filters do: * is any text, ? is any character, \ takes
// the meaning from what follows. Letter case counts.
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

// page returns the part of items that the request asks for, and the token of
// the next part. least is the smallest MaxResults that the action takes.
func page[T any](c *call, items []T, least int) (query.Set[T], string, error) {
	size, err := c.p.Int("MaxResults", 0)
	if err != nil {
		return query.Set[T]{}, "", err
	}
	if c.p.Has("MaxResults") && size < least {
		return query.Set[T]{}, "", query.Errorf("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than or equal to %d.", size, least)
	}
	start := 0
	if token := c.p.Get("NextToken"); token != "" {
		text, err := base64.RawURLEncoding.DecodeString(token)
		from, found := strings.CutPrefix(string(text), c.action+":")
		n, convErr := strconv.Atoi(from)
		if err != nil || convErr != nil || !found {
			return query.Set[T]{}, "", query.Errorf("InvalidNextToken", "The token '%s' is invalid", token)
		}
		start = min(n, len(items))
	}
	items = items[start:]
	if size == 0 || size >= len(items) {
		return query.SetOf(items...), "", nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(c.action + ":" + strconv.Itoa(start+size)))
	return query.SetOf(items[:size]...), next, nil
}

// contains says whether list has v; an empty list has everything.
func contains(list []string, v string) bool {
	for _, have := range list {
		if have == v {
			return true
		}
	}
	return len(list) == 0
}
