// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package reportpage

import (
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
)

// figure is a chart with its caption. Legend lists the lines of a chart with several.
type figure struct {
	Caption string
	SVG     template.HTML
	Legend  []legend
	Missing string // why there is no chart
}

// legend is an entry of a legend: the class of a line, its dashes, and its name.
type legend struct{ Class, Dashes, Name string }

// leastSpan is the smallest height of a chart of rates, as a fraction of the median.
const leastSpan = 0.02

// courses returns the chart of each device's rate over the window.
func courses(m *miner.Report) (list []figure, err error) {
	for i, s := range m.Series {
		d := deviceOf(m, s.Device)
		unit, factor := d.Hashrate.Unit()
		f := figure{Caption: fmt.Sprintf("%s: rate in %s over seconds. The line is each sample; the band reaches from the 5th to the 95th percentile (%s to %s), and the dotted line is the median (%s).",
			s.Device, unit, d.P5, d.P95, d.Hashrate)}
		c := chart{
			ID: "rate-" + strconv.Itoa(i), Title: "Hash rate of " + s.Device + " over the benchmark's window",
			Desc:   fmt.Sprintf("%d samples, median %s, 5th percentile %s, 95th percentile %s, last %s.", d.Samples, d.Hashrate, d.P5, d.P95, d.Last),
			Band:   [2]float64{float64(d.P5) / factor, float64(d.P95) / factor},
			Middle: float64(d.Hashrate) / factor, Least: leastSpan * float64(d.Hashrate) / factor,
		}
		var l line
		for _, p := range s.Rates {
			l.X, l.Y = append(l.X, p.Seconds), append(l.Y, float64(p.Hashrate)/factor)
		}
		c.Lines = []line{l}
		if f, err = f.with(c, fmt.Sprintf("%s: %s, too few for a chart.", s.Device, summary.Count(len(s.Rates), "sample"))); err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

// sensors returns the charts of temperature and power, one line a device; none without
// values of nvidia-smi.
func sensors(m *miner.Report) (list []figure, err error) {
	for _, kind := range []struct {
		id, name, unit string
		of             func(miner.SensorPoint) float64
		least          float64
	}{
		{"temperature", "Temperature", "°C", func(p miner.SensorPoint) float64 { return p.TempC }, 10},
		{"power", "Power", "W", func(p miner.SensorPoint) float64 { return p.PowerW }, 10},
	} {
		c := chart{ID: kind.id, Title: kind.name + " of each GPU over the benchmark's window", Least: kind.least}
		f := figure{Caption: fmt.Sprintf("%s in %s over seconds, by nvidia-smi.", kind.name, kind.unit)}
		for _, s := range m.Series {
			var l line
			for _, p := range s.Sensors {
				if v := kind.of(p); v > 0 {
					l.X, l.Y = append(l.X, p.Seconds), append(l.Y, v)
				}
			}
			if len(l.Y) == 0 {
				continue
			}
			n := len(c.Lines)
			c.Lines = append(c.Lines, l)
			c.Desc += fmt.Sprintf("%s from %.0f to %.0f %s. ", s.Device, slices.Min(l.Y), slices.Max(l.Y), kind.unit)
			f.Legend = append(f.Legend, legend{"c-line c-" + strconv.Itoa(n%colours), dashText(dashes[n%len(dashes)]), s.Device})
		}
		if len(c.Lines) == 0 {
			continue
		}
		if f, err = f.with(c, kind.name+": too few values for a chart."); err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

// with returns the figure with a drawn chart, or the reason why there is none.
func (f figure) with(c chart, missing string) (figure, error) {
	svg, err := c.svg()
	if errors.Is(err, errFewPoints) {
		return figure{Missing: missing}, nil
	}
	f.SVG = svg
	return f, err
}

func deviceOf(m *miner.Report, name string) miner.DeviceReport {
	i := slices.IndexFunc(m.Devices, func(d miner.DeviceReport) bool { return d.Name == name })
	if i < 0 {
		return miner.DeviceReport{Name: name}
	}
	return m.Devices[i]
}

func dashText(dash []float64) (text string) {
	for _, d := range dash {
		text += strconv.FormatFloat(d, 'f', -1, 64) + " "
	}
	return text
}
