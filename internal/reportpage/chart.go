// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package reportpage

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-analyze/charts/chartdraw"
)

// The size of a chart in CSS pixels. It fits a phone without scaling, so that the text
// stays readable.
const (
	chartWidth  = 340
	chartHeight = 200
)

// ticks is the approximate number of labels of an axis.
const ticks = 4

// chart is a line chart over seconds. No text of a user enters the drawing.
type chart struct {
	// ID is unique in the page. Title and Desc describe the chart to a screen reader.
	ID, Title, Desc string
	Lines           []line
	// Band, if set, is the range of values to mark, and Middle the value in it.
	Band   [2]float64
	Middle float64
	// Least is the smallest height of the vertical axis, so that noise looks small.
	Least float64
}

// line is one line of a chart.
type line struct{ X, Y []float64 }

// dashes are those of the lines, so that they differ without colour. The colours are
// in page.css.
var dashes = [][]float64{nil, {6, 3}, {2, 2}, {8, 3, 2, 3}}

// errFewPoints is returned for a chart without a course.
var errFewPoints = errors.New("less than two points")

// svg draws the chart. Its styles are classes of page.css, which knows light and dark.
func (c chart) svg() (template.HTML, error) {
	var xs, ys []float64
	for _, l := range c.Lines {
		xs, ys = append(xs, l.X...), append(ys, l.Y...)
	}
	if len(xs) < 2 || slices.Min(xs) == slices.Max(xs) {
		return "", errFewPoints
	}
	if c.Band[1] > 0 {
		ys = append(ys, c.Band[:]...)
	}
	x := axis(slices.Min(xs), slices.Max(xs))
	low, high := slices.Min(ys), slices.Max(ys)
	if pad := (c.Least - (high - low)) / 2; pad > 0 {
		low, high = max(0, low-pad), high+pad
	}
	y := axis(low, high)
	whole := []float64{x[0].Value, x[len(x)-1].Value}

	var series []chartdraw.Series
	flat := func(class string, at float64) {
		series = append(series, drawn(class, nil, whole, []float64{at, at}))
	}
	for _, tick := range y {
		flat("c-grid", tick.Value)
	}
	if c.Band[1] > 0 {
		series = append(series, band{drawn("c-band", nil, whole, whole), c.Band})
		flat("c-middle", c.Middle)
	}
	for i, l := range c.Lines {
		series = append(series, drawn("c-line c-"+strconv.Itoa(i%colours), dashes[i%len(dashes)], l.X, l.Y))
	}
	axisStyle, hidden := chartdraw.Style{ClassName: "c-axis"}, chartdraw.Hidden()
	drawing := chartdraw.Chart{
		Width: chartWidth, Height: chartHeight,
		Background: chartdraw.Style{ClassName: "c-none", Padding: chartdraw.NewBox(8, 8, 8, 4)},
		Canvas:     chartdraw.Style{ClassName: "c-none"},
		XAxis:      chartdraw.XAxis{Style: axisStyle, Ticks: x, GridMajorStyle: hidden, GridMinorStyle: hidden},
		// The library draws its secondary axis on the left.
		YAxis: chartdraw.YAxis{Style: hidden, Range: &chartdraw.ContinuousRange{Max: 1}},
		YAxisSecondary: chartdraw.YAxis{
			Style: axisStyle, Ticks: y, GridMajorStyle: hidden, GridMinorStyle: hidden, Zero: chartdraw.GridLine{Style: hidden},
		},
		Series: series,
	}
	var out bytes.Buffer
	if err := drawing.Render(chartdraw.SVG, &out); err != nil {
		return "", fmt.Errorf("drawing %s: %w", c.ID, err)
	}
	_, shapes, found := strings.Cut(out.String(), ">") // the library's <svg> has no title
	if !found {
		return "", fmt.Errorf("drawing %s: got no SVG", c.ID)
	}
	esc := template.HTMLEscapeString
	head := fmt.Sprintf(`<svg class="plot" viewBox="0 0 %d %d" role="img" aria-labelledby="%[3]s-t %[3]s-d"><title id="%[3]s-t">%[4]s</title><desc id="%[3]s-d">%[5]s</desc>`,
		chartWidth, chartHeight, esc(c.ID), esc(c.Title), esc(c.Desc))
	return template.HTML(head + shapes), nil //nolint:gosec // texts are escaped, and the shapes contain numbers only
}

// colours is the number of colours of lines in page.css.
const colours = 8

// drawn returns a line of the library with a class.
func drawn(class string, dash, x, y []float64) chartdraw.ContinuousSeries {
	return chartdraw.ContinuousSeries{
		Style: chartdraw.Style{ClassName: class, StrokeDashArray: dash}, YAxis: chartdraw.YAxisSecondary, XValues: x, YValues: y,
	}
}

// band fills the space between two values.
type band struct {
	chartdraw.ContinuousSeries
	limits [2]float64
}

// GetBoundedValues returns the limits at a point.
func (b band) GetBoundedValues(i int) (x, low, high float64) {
	return b.XValues[i], b.limits[0], b.limits[1]
}

// Render draws the band.
func (b band) Render(r chartdraw.Renderer, box chartdraw.Box, x, y chartdraw.Range, defaults chartdraw.Style) {
	style := b.Style.InheritFrom(defaults)
	style.FillColor = chartdraw.ColorBlue // any colour: the class decides
	chartdraw.Draw.BoundedSeries(r, box, x, y, style, b)
}

// axis returns labels at round values that enclose low to high.
func axis(low, high float64) []chartdraw.Tick {
	if high <= low {
		low, high = low-1, high+1
	}
	step := math.Pow10(int(math.Floor(math.Log10((high - low) / ticks))))
	for _, factor := range []float64{2, 2.5, 2} { // 1, 2, 5, 10
		if (high-low)/step > ticks+1e-9 {
			step *= factor
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	var list []chartdraw.Tick
	for i := math.Floor(low/step + 1e-9); ; i++ {
		list = append(list, chartdraw.Tick{Value: i * step, Label: strconv.FormatFloat(i*step, 'f', decimals, 64)})
		if i*step >= high-step*1e-9 {
			return list
		}
	}
}
