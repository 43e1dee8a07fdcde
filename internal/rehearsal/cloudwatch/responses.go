// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudwatch

import (
	"slices"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// pageSize is the number of metrics in one response.
const pageSize = 500

type listedMetric struct {
	Namespace, MetricName string
	Dimensions            query.Members[dimension]
}

type metricList struct {
	Metrics   query.Members[listedMetric]
	NextToken string `xml:",omitempty" json:",omitempty"`
}

// list returns the metrics that match the requested namespace, name and dimensions. A
// dimension without a value matches every value.
func (s *Service) list(region string, p query.Params) (any, error) {
	from, err := p.Int("NextToken", 0)
	if err != nil || from < 0 {
		return nil, query.Errorf("InvalidParameterValue", "Invalid nextToken")
	}
	var all []listedMetric
	for _, m := range s.regions[region] {
		if p.Or("Namespace", m.Namespace) != m.Namespace || p.Or("MetricName", m.MetricName) != m.MetricName {
			continue
		}
		has := true
		for _, f := range p.Items("Dimensions") {
			has = has && slices.ContainsFunc(m.Dimensions, func(d dimension) bool { return d.Name == f.Get("Name") && f.Or("Value", d.Value) == d.Value })
		}
		if has {
			all = append(all, listedMetric{m.Namespace, m.MetricName, query.Members[dimension]{Items: m.Dimensions}})
		}
	}
	from = min(from, len(all))
	to := min(from+pageSize, len(all))
	out := metricList{Metrics: query.Members[listedMetric]{Items: all[from:to]}}
	if to < len(all) {
		out.NextToken = strconv.Itoa(to)
	}
	return out, nil
}

type datapoint struct {
	Timestamp   stamp
	SampleCount *float64 `json:",omitempty"`
	Average     *float64 `json:",omitempty"`
	Sum         *float64 `json:",omitempty"`
	Minimum     *float64 `json:",omitempty"`
	Maximum     *float64 `json:",omitempty"`
	Unit        string
}

// stamp is a time: text in XML, seconds in JSON.
type stamp time.Time

// MarshalText implements encoding.TextMarshaler for XML.
func (s stamp) MarshalText() ([]byte, error) {
	return []byte(time.Time(s).UTC().Format(time.RFC3339)), nil
}

// MarshalJSON implements json.Marshaler.
func (s stamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, time.Time(s).Unix(), 10), nil
}

type statistics struct {
	Label      string
	Datapoints query.Members[datapoint]
}

// statistics returns a data point for each period with data.
func (s *Service) statistics(region string, p query.Params) (any, error) {
	if err := required(p, "Namespace", "MetricName", "StartTime", "EndTime", "Period", "Statistics"); err != nil {
		return nil, err
	}
	period, err := p.Int("Period", 0)
	if err != nil || period < 1 || period > 30 && period%60 != 0 {
		return nil, query.Errorf("InvalidParameterValue", "The parameter Period must be a multiple of 60.")
	}
	from, err := parseTime(p, "StartTime", time.Time{})
	if err != nil {
		return nil, err
	}
	to, err := parseTime(p, "EndTime", time.Time{})
	if err != nil {
		return nil, err
	}
	if !from.Before(to) {
		return nil, query.Errorf("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.")
	}
	wanted := p.List("Statistics")
	out := statistics{Label: p.Get("MetricName")}
	m := s.metric(region, p.Get("Namespace"), p.Get("MetricName"), dimensions(p))
	if m == nil {
		return out, nil
	}
	type key struct {
		at   int64
		unit string
	}
	sums := map[key]*datum{}
	var order []key
	for _, d := range m.data {
		if d.at.Before(from) || !d.at.Before(to) || p.Or("Unit", d.unit) != d.unit {
			continue
		}
		k := key{d.at.Unix() / int64(period) * int64(period), d.unit}
		if sums[k] == nil {
			sums[k] = &d
			order = append(order, k)
			continue
		}
		v := sums[k]
		v.count, v.sum, v.min, v.max = v.count+d.count, v.sum+d.sum, min(v.min, d.min), max(v.max, d.max)
	}
	for _, k := range order {
		v := sums[k]
		average := v.sum / v.count
		point := datapoint{Timestamp: stamp(time.Unix(k.at, 0)), Unit: k.unit}
		for name, set := range map[string]func(){
			"SampleCount": func() { point.SampleCount = &v.count }, "Average": func() { point.Average = &average }, "Sum": func() { point.Sum = &v.sum },
			"Minimum": func() { point.Minimum = &v.min }, "Maximum": func() { point.Maximum = &v.max },
		} {
			if slices.Contains(wanted, name) {
				set()
			}
		}
		out.Datapoints.Items = append(out.Datapoints.Items, point)
	}
	return out, nil
}
