// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package cloudwatch simulates Amazon CloudWatch in a rehearsal: it stores metrics,
// lists them, and returns their statistics.
package cloudwatch

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Service is one account's CloudWatch in all regions. Its methods are safe
// for concurrent use.
type Service struct {
	Clock pace.Clock

	mu      sync.Mutex
	regions map[string][]*metric
}

type metric struct {
	Namespace, MetricName string
	Dimensions            []dimension
	data                  []datum
}

type dimension struct{ Name, Value string }

// datum is one stored value, or the statistics of several.
type datum struct {
	at                   time.Time
	unit                 string
	count, sum, min, max float64
}

// Call serves one action in a region. The error is always a *query.Error.
func (s *Service) Call(region, action string, p query.Params) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var body any
	var err error
	switch action {
	case "PutMetricData":
		err = s.put(region, p)
	case "ListMetrics":
		body, err = s.list(region, p)
	case "GetMetricStatistics":
		body, err = s.statistics(region, p)
	default:
		err = query.Errorf("InvalidAction", "Could not find operation %s for version 2010-08-01", action)
	}
	if known := new(query.Error); err == nil || errors.As(err, &known) {
		return body, err
	}
	return nil, query.Errorf("InvalidParameterValue", "%v", err)
}

func required(p query.Params, names ...string) error {
	for _, name := range names {
		if !p.Has(name) {
			return query.Errorf("MissingParameter", "The parameter %s is required.", name)
		}
	}
	return nil
}

// put stores all data of a request, or none.
func (s *Service) put(region string, p query.Params) error {
	if err := required(p, "Namespace", "MetricData"); err != nil {
		return err
	}
	namespace := p.Get("Namespace")
	if strings.HasPrefix(namespace, "AWS/") || strings.HasPrefix(namespace, ":") {
		return query.Errorf("InvalidParameterValue", "The value %s for parameter Namespace is invalid.", namespace)
	}
	items := p.Items("MetricData")
	if len(items) > 1000 {
		return query.Errorf("InvalidParameterValue", "The collection MetricData must not have a size greater than 1000.")
	}
	type put struct {
		name string
		of   []dimension
		datum
	}
	var all []put
	for n, item := range items {
		if item.Get("MetricName") == "" {
			return query.Errorf("MissingParameter", "The parameter MetricData.member.%d.MetricName is required.", n+1)
		}
		of := dimensions(item)
		if len(of) > 30 {
			return query.Errorf("InvalidParameterValue", "The collection MetricData.member.%d.Dimensions must not have a size greater than 30.", n+1)
		}
		data, err := s.data(n+1, item)
		if err != nil {
			return err
		}
		for _, d := range data {
			all = append(all, put{item.Get("MetricName"), of, d})
		}
	}
	for _, v := range all {
		m := s.metric(region, namespace, v.name, v.of)
		if m == nil {
			m = &metric{namespace, v.name, v.of, nil}
			if s.regions == nil {
				s.regions = map[string][]*metric{}
			}
			s.regions[region] = append(s.regions[region], m)
		}
		m.data = append(m.data, v.datum)
	}
	return nil
}

// data returns the values of one MetricDatum.
func (s *Service) data(n int, item query.Params) ([]datum, error) {
	at, err := parseTime(item, "Timestamp", s.Clock.Now())
	if err != nil {
		return nil, err
	}
	unit := item.Or("Unit", "None")
	number := func(p query.Params, name string) float64 {
		v, e := strconv.ParseFloat(p.Get(name), 64)
		if e != nil || v != v {
			err = cmp.Or(err, error(query.Errorf("InvalidParameterValue", "The value %q for parameter MetricData.member.%d.%s is invalid.", p.Get(name), n, name)))
		}
		return v
	}
	set, values, counts := item.Sub("StatisticValues"), item.List("Values"), item.List("Counts")
	var out []datum
	switch {
	case item.Has("Value") && len(set)+len(values) == 0:
		v := number(item, "Value")
		out = append(out, datum{at, unit, 1, v, v, v})
	case len(set) > 0 && len(values) == 0 && !item.Has("Value"):
		out = append(out, datum{at, unit, number(set, "SampleCount"), number(set, "Sum"), number(set, "Minimum"), number(set, "Maximum")})
	case len(values) > 0 && !item.Has("Value"):
		if len(counts) > 0 && len(counts) != len(values) {
			return nil, query.Errorf("InvalidParameterValue", "MetricData.member.%d has %d values and %d counts.", n, len(values), len(counts))
		}
		for i := range values {
			v, count := number(item, "Values."+strconv.Itoa(i+1)), 1.0
			if len(counts) > 0 {
				count = number(item, "Counts."+strconv.Itoa(i+1))
			}
			out = append(out, datum{at, unit, count, v * count, v, v})
		}
	default:
		return nil, query.Errorf("InvalidParameterCombination", "MetricData.member.%d must have one of Value, Values and StatisticValues.", n)
	}
	return out, err
}

// parseTime parses a time: text in one protocol, seconds in the other.
func parseTime(p query.Params, name string, other time.Time) (time.Time, error) {
	text := p.Get(name)
	if text == "" {
		return other, nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return time.UnixMilli(int64(seconds * 1000)).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return other, query.Errorf("InvalidParameterValue", "The value %s for parameter %s is not a timestamp.", text, name)
}

func dimensions(p query.Params) []dimension {
	var list []dimension
	for _, d := range p.Items("Dimensions") {
		list = append(list, dimension{d.Get("Name"), d.Get("Value")})
	}
	slices.SortFunc(list, func(a, b dimension) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func (s *Service) metric(region, namespace, name string, of []dimension) *metric {
	for _, m := range s.regions[region] {
		if m.Namespace == namespace && m.MetricName == name && slices.Equal(m.Dimensions, of) {
			return m
		}
	}
	return nil
}
