// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package reportpage renders the report of a build as one HTML page that needs no other
// file, no network and, except for its copy buttons, no script.
package reportpage

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
	"github.com/eth-mining/packer-plugin-ethminer/internal/usd"
)

//go:embed page.html page.css copy.js
var files embed.FS

// parsed returns the template with its style and script. Their hashes are the only
// sources that the page's content security policy allows.
var parsed = sync.OnceValue(func() *template.Template {
	read := func(name string) string {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // it is embedded
		}
		return string(text)
	}
	style, script := read("page.css"), read("copy.js")
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"style":  func() template.CSS { return template.CSS(style) }, //nolint:gosec // embedded
		"script": func() template.JS { return template.JS(script) },  //nolint:gosec // embedded
		"policy": func() string {
			return "default-src 'none'; img-src data:; style-src " + hash(style) + "; script-src " + hash(script) + "; base-uri 'none'; form-action 'none'"
		},
		"duration": summary.Duration,
		"price":    usd.Price,
		"cost":     usd.Cost,
		"share":    summary.Share,
		"rate":     func(hashes float64) string { return miner.Rate(hashes).String() },
	}).Parse(read("page.html")))
})

// hash returns the source expression of an inline style or script.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Input is what a page shows.
type Input struct {
	Build summary.Build
	// Template is the result of ethminer-cfn; nil without it.
	Template *artifact.Template
	// Earlier are builds to compare with, in any order. Build itself is skipped.
	Earlier []summary.Build
}

// Write writes the page.
func Write(w io.Writer, in Input) error {
	view, err := newView(in)
	if err != nil {
		return err
	}
	if err := parsed().Execute(w, view); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// view is the data of page.html.
type view struct {
	summary.Build
	Seconds   float64
	Headline  []summary.Fact
	Warnings  []string
	Images    []image
	AllImages string // one line each
	Others    []image
	Course    []figure // the rate of each device
	Sensors   []figure
	Devices   []miner.DeviceReport
	Timeline  []bar
	Waits     bool // any phase has waited
	Template  *artifact.Template
	Diff      []diffLine
	Compared  []compared
	Details   []summary.Fact
}

// image is a row of a table of images.
type image struct {
	Account, Region, ID, URL string
	Snapshots                []string
	Missing                  string // why there is no image
}

// diffLine is a line of a unified diff. Kind is "add", "del", "at" or "".
type diffLine struct{ Kind, Text string }

// compared is a row of the comparison.
type compared struct {
	summary.Build
	This      bool
	USDPerGHs float64
}

func newView(in Input) (view, error) {
	b := in.Build
	v := view{Build: b, Seconds: b.Seconds(), Headline: b.Facts(), Warnings: warnings(b), Template: in.Template, Details: details(b)}
	v.Images, v.Others = imageRows(b)
	for _, i := range v.Images {
		if i.ID != "" {
			v.AllImages += i.Region + ": " + i.ID + "\n"
		}
	}
	v.Timeline = timeline(b)
	v.Waits = slices.ContainsFunc(v.Timeline, func(r bar) bool { return r.WaitedSeconds > 0 })
	if b.Measured != nil {
		v.Devices = b.Measured.Devices
		var err error
		if v.Course, err = courses(b.Measured); err != nil {
			return view{}, err
		}
		if v.Sensors, err = sensors(b.Measured); err != nil {
			return view{}, err
		}
	}
	if in.Template != nil {
		v.Diff = diffLines(in.Template.Diff)
	}
	v.Compared = compare(b, in.Earlier)
	return v, nil
}

// imageRows returns the images of the build's account, and those of others. Images of a
// rehearsal are in no console.
func imageRows(b summary.Build) (own, others []image) {
	link := func(region, id string) string {
		if b.Rehearsal {
			return ""
		}
		return consoleURL(region, id)
	}
	for _, region := range slices.Sorted(maps.Keys(b.Images)) {
		id := b.Images[region]
		own = append(own, image{Region: region, ID: id, URL: link(region, id), Snapshots: b.Snapshots[region]})
	}
	for _, region := range slices.Sorted(maps.Keys(b.FailedRegions)) {
		own = append(own, image{Region: region, Missing: cmp.Or(b.FailedRegions[region], "unknown reason")})
	}
	for _, account := range slices.Sorted(maps.Keys(b.Accounts)) {
		for _, region := range slices.Sorted(maps.Keys(b.Accounts[account])) {
			id := b.Accounts[account][region]
			others = append(others, image{Account: account, Region: region, ID: id, URL: link(region, id)})
		}
	}
	for _, account := range slices.Sorted(maps.Keys(b.FailedAccounts)) {
		for _, region := range slices.Sorted(maps.Keys(b.FailedAccounts[account])) {
			others = append(others, image{Account: account, Region: region, Missing: cmp.Or(b.FailedAccounts[account][region], "unknown reason")})
		}
	}
	return own, others
}

// details returns the conditions of the build. Unknown ones are left out.
func details(b summary.Build) (list []summary.Fact) {
	add := func(name, value, note string) {
		if value != "" {
			list = append(list, summary.Fact{Name: name, Value: value, Note: note})
		}
	}
	add("Build", b.BuildID, "")
	if !b.StartedAt.IsZero() {
		add("Started", b.StartedAt.UTC().Format("2006-01-02 15:04:05 UTC"), "")
	}
	add("Plugin", b.PluginVersion, "")
	add("Source image", cmp.Or(b.CopiedFrom, b.SourceImage), "")
	add("Architecture", b.Architecture, "")
	add("Instance", strings.Join(nonEmpty(b.InstanceID, b.InstanceType, cmp.Or(b.Zone, b.BuildRegion), b.Market), ", "), "")
	if b.PricePerHourUSD > 0 {
		add("Price of an hour", usd.Price(b.PricePerHourUSD), b.PriceSource)
	}
	add("Captured by", b.Capture, "")
	if m := b.Measured; m != nil {
		add("Miner", m.Miner, m.Source)
		add("Device", strings.SplitN(m.Measured(), ",", 2)[0], "")
		add("DAG", m.Algorithm+", "+m.DAG(), "")
	}
	var software struct {
		Commit       string `json:"commit"`
		Distribution string `json:"distribution"`
		Kernel       string `json:"kernel"`
		Driver       string `json:"driver"`
		CUDA         string `json:"cuda"`
	}
	_ = json.Unmarshal(b.Inventory, &software) // what is unreadable is unknown
	add("Commit", software.Commit, "")
	add("System", strings.Join(nonEmpty(software.Distribution, software.Kernel), ", "), "")
	add("NVIDIA driver", software.Driver, "")
	add("CUDA toolkit", software.CUDA, "")
	return list
}

func nonEmpty(words ...string) []string {
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

// diffLines splits a unified diff.
func diffLines(text string) (lines []diffLine) {
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		kind := ""
		switch {
		case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "diff "), strings.HasPrefix(line, "@@ "):
			kind = "at"
		case strings.HasPrefix(line, "+"):
			kind = "add"
		case strings.HasPrefix(line, "-"):
			kind = "del"
		}
		if line != "" {
			lines = append(lines, diffLine{kind, line})
		}
	}
	return lines
}

// compare returns a build and earlier ones, the newest first; nothing if there are no
// earlier ones.
func compare(this summary.Build, earlier []summary.Build) []compared {
	rows := []compared{{Build: this, This: true, USDPerGHs: this.USDPerGHs()}}
	for _, b := range earlier {
		if b.BuildID != this.BuildID {
			rows = append(rows, compared{Build: b, USDPerGHs: b.USDPerGHs()})
		}
	}
	if len(rows) == 1 {
		return nil
	}
	slices.SortStableFunc(rows[1:], func(x, y compared) int { return y.StartedAt.Compare(x.StartedAt) })
	return rows
}
