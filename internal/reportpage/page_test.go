// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package reportpage

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
)

// attack is a text that is markup, a script or an attribute wherever it is not escaped.
const attack = `"'></script></style></title><img src=https://evil.example/x onerror=alert(1)><script>alert(1)</script>{{.}}${x}`

// hostile is an input whose every text is an attack. Fields of other types keep their
// values.
func hostile(t testing.TB) Input {
	t.Helper()
	in := full(t, 2)
	poison := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(text, &tree); err != nil {
			t.Fatal(err)
		}
		if text, err = json.Marshal(poisoned(tree, "")); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, v); err != nil {
			t.Fatal(err)
		}
	}
	own := in.Build.Measured
	poison(&in.Build)
	in.Build.Measured = own
	poison(in.Build.Measured)
	poison(in.Template)
	in.Build.Unreadable = nil
	for i := range in.Earlier {
		in.Earlier[i].BuildID, in.Earlier[i].InstanceType = attack, attack
	}
	return in
}

// poisoned replaces each string of a JSON value, and each key of the maps by region,
// except those that decide what is shown.
func poisoned(tree any, key string) any {
	switch v := tree.(type) {
	case string:
		if slices.Contains([]string{"device", "started_at", "finished_at", "limit_source", "capture"}, key) && !strings.HasPrefix(v, "cu") {
			return v
		}
		return attack
	case []any:
		for i := range v {
			v[i] = poisoned(v[i], key)
		}
	case map[string]any:
		for k, value := range v {
			v[k] = poisoned(value, k)
		}
		if slices.Contains([]string{"images", "snapshots", "failed_regions", "accounts"}, key) {
			for k, value := range v {
				delete(v, k)
				v[attack+k] = value
			}
		}
	}
	return tree
}

func render(t *testing.T, in Input) (text string, root *html.Node) {
	t.Helper()
	var page bytes.Buffer
	if err := Write(&page, in); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(page.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return page.String(), root
}

// text returns the visible text below a node, with single spaces.
func text(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "style" && d.Parent.Data != "script" {
			out.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// section returns the text of the section whose heading has an id.
func section(t *testing.T, root *html.Node, id string) string {
	t.Helper()
	for n := range root.Descendants() {
		if n.Data == "h2" && attr(n, "id") == id {
			return text(n.Parent)
		}
	}
	t.Fatalf("the page has no section %s", id)
	return ""
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func TestPage(t *testing.T) {
	_, root := render(t, full(t, 2))
	for id, wants := range map[string][]string{
		"summary": {
			"Regions 5 of 6", "Hash rate 50.", "Share of the limit 72 % of 69.80 Mh/s, which the memory bandwidth allows (measured)", "Launch test failed in 1 of 2 tested regions",
			"Build time 34 min 13 s the instance existed for 24 min 20 s", "Cost so far $0.11 instance for 23 min 25 s at $0.2104 an hour, launch tests $0.03; without volumes",
		},
		"warnings": {
			"Launch test of us-east-1: failed: ethminer.service is failed", "Launch test of us-gov-west-1: not made: no capacity",
			"ap-south-1 has no image: ResourceLimitExceeded",
		},
		"images": {
			"eu-central-1 ami-0aaaaaaaaaaaaaaa1 Copy snap-0aaaaaaaaaaaaaaa1 Open ami-0aaaaaaaaaaaaaaa1 in the console", "us-iso-east-1 ami-0aaaaaaaaaaaaaaa5 Copy none none",
			"ap-south-1 no image : ResourceLimitExceeded", "123456789012 us-east-1 ami-0bbbbbbbbbbbbbbb1",
		},
		"benchmark": {
			"GPU: 2 x Tesla T4, epoch 350, 60 s window, ethminer 0.19.0-17", "Verdict: passed", "min_hashrate ) is 40.00 Mh/s", "cu0: rate in Mh/s over seconds",
			"Temperature in °C over seconds", "cu0 from 53 to 62 °C. cu1 from 54 to 63 °C.", "Power in W", "63 °C 68 W", "1245, memory 5000 MHz power cap",
		},
		"launches":   {"us-east-1 ami-0aaaaaaaaaaaaaaa2 g4dn.xlarge failed : ethminer.service is failed; evidence: launch-test-us-east-1.txt unknown 25.20 Mh/s unknown unknown failed service: exit status 1"},
		"timeline":   {"took 34 min 13 s", "launch 2.4 s 31 s 24 s ≤ 3.6 s", "create image 21 min 39 s 4 min 1 s 3 min 58 s ≤ 2.1 s", "2 shorter phases 2.8 s"},
		"template":   {"Written to build/eth-mining-cfn.template", "- AMI: ami-00000000000000001 + AMI: ami-0aaaaaaaaaaaaaaa1", "version 1.0.0"},
		"comparison": {"b-0123456789abcdef (this build) 2026-11-03 08:30 g4dn.xlarge Tesla T4, Tesla T4 350 50.", "b-00000000000000aa 2026-10-03 08:30", "b-00000000000000bb (simulated) 2026-09-03 08:30 unknown"},
		"details":    {"Instance i-0123456789abcdef0, g4dn.xlarge, eu-central-1b, spot", "Commit 1a2b3c", "NVIDIA driver 580.95", "Price of an hour $0.2104 spot price history"},
	} {
		got := section(t, root, id)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("section %s has no %q:\n%s", id, want, got)
			}
		}
	}
	if all := text(root); strings.Contains(strings.ToLower(all), "simulated.") {
		t.Error("a build on AWS is called simulated")
	}
	if rows := strings.Count(section(t, root, "comparison"), "b-0"); rows != 3 {
		t.Errorf("the comparison has %d builds, want 3: this build once", rows)
	}
}

// TestMissing: what is unknown is called unknown, and no number takes its place.
func TestMissing(t *testing.T) {
	_, root := render(t, Input{Build: summary.Build{Report: artifact.Report{BuildID: "b", BuildRegion: "eu-central-1"}}})
	for id, wants := range map[string][]string{
		"summary": {
			"Regions 0 of 0", "Hash rate unknown the image was not benchmarked", "Share of the limit unknown", "Launch test not made", "Build time unknown", "Cost so far unknown",
		},
		"warnings":  {"The image was not benchmarked: its hash rate is unknown"},
		"images":    {"The build has no images."},
		"benchmark": {"None: the image has no /etc/ethminer/benchmark.json"},
		"launches":  {"Not made"},
		"timeline":  {"The report has no phases."},
		"template":  {"None: ethminer-cfn did not run before this report."},
	} {
		got := section(t, root, id)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("section %s has no %q:\n%s", id, want, got)
			}
		}
	}
	if got := text(root); strings.Contains(got, "Comparison") {
		t.Errorf("the page compares one build:\n%s", got)
	}
}

func TestRehearsal(t *testing.T) {
	page, root := render(t, rehearsed(t))
	for _, want := range []string{"Simulated: mining image", "This build is a rehearsal", "hash rate is that of the machine's CPU", "The miner is the reference miner", "simulated, nothing was charged", "Unknown: the miner ran on a CPU"} {
		if !strings.Contains(text(root), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(page, "console.") {
		t.Error("the page of a rehearsal links to a console, where its images do not exist")
	}
}

// TestConsole: links lead to the console of the region's partition.
func TestConsole(t *testing.T) {
	for region, want := range map[string]string{
		"eu-central-1":   "https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#ImageDetails:imageId=ami-0aaaaaaaaaaaaaaa1",
		"cn-north-1":     "https://cn-north-1.console.amazonaws.cn/ec2/home?region=cn-north-1#ImageDetails:imageId=ami-0aaaaaaaaaaaaaaa1",
		"us-gov-west-1":  "https://us-gov-west-1.console.amazonaws-us-gov.com/ec2/home?region=us-gov-west-1#ImageDetails:imageId=ami-0aaaaaaaaaaaaaaa1",
		"us-iso-east-1":  "",
		"eusc-de-east-1": "",
		"evil.example/?": "",
	} {
		if got := consoleURL(region, "ami-0aaaaaaaaaaaaaaa1"); got != want {
			t.Errorf("%s: got %q, want %q", region, got, want)
		}
	}
	if got := consoleURL("us-east-1", "ami-1&x"); got != "" {
		t.Errorf("got %q for what is no image id", got)
	}
}

// TestSelfContained: no page loads anything, whatever its texts are, and its only
// addresses are links to the console.
func TestSelfContained(t *testing.T) {
	loads := regexp.MustCompile(`(?i)url\(|@import|srcset`)
	for name, in := range map[string]Input{"full": full(t, 8), "hostile": hostile(t), "rehearsal": rehearsed(t)} {
		page, root := render(t, in)
		scripts := 0
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			switch n.Data {
			case "script":
				scripts++
			case "img", "iframe", "object", "embed", "video", "audio", "base", "form", "use", "image", "source":
				t.Errorf("%s: the page has a <%s>", name, n.Data)
			}
			for _, a := range n.Attr {
				switch {
				case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "src":
					t.Errorf("%s: <%s> has the attribute %s=%q", name, n.Data, a.Key, a.Val)
				case a.Key == "href" && n.Data == "a" && !regexp.MustCompile(`^https://[a-z0-9-]+\.console\.(aws\.amazon\.com|amazonaws\.cn|amazonaws-us-gov\.com)/ec2/home\?region=[a-z0-9-]+#ImageDetails:imageId=ami-\w+$`).MatchString(a.Val):
					t.Errorf("%s: a link leads to %q", name, a.Val)
				case a.Key == "href" && n.Data != "a" && a.Val != "data:,":
					t.Errorf("%s: <%s> loads %q", name, n.Data, a.Val)
				}
			}
		}
		if scripts != 1 || loads.MatchString(page) {
			t.Errorf("%s: %d scripts, want 1; loads %q", name, scripts, loads.FindAllString(page, -1))
		}
		if strings.Contains(page, "ZgotmplZ") {
			t.Errorf("%s: html/template has rejected a value", name)
		}
	}
	// The attack is shown as text.
	_, root := render(t, hostile(t))
	if shown := strings.Count(text(root), "<script>alert(1)</script>"); shown < 50 {
		t.Errorf("the page shows %d hostile texts, want 50 or more", shown)
	}
}

// TestAccessible: tables have headers and scroll with the keyboard, charts have a title and
// a description, ids are unique, and the order of headings has no gaps.
func TestAccessible(t *testing.T) {
	_, root := render(t, full(t, 8))
	ids := map[string]bool{}
	tables, plots, level := 0, 0, 0
	for n := range root.Descendants() {
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("the id %s is not unique", id)
			}
			ids[id] = true
		}
		switch {
		case n.Type != html.ElementNode:
		case n.Data == "table":
			tables++
			if p := n.Parent; attr(p, "tabindex") != "0" || attr(p, "role") != "region" || attr(p, "aria-labelledby") == "" {
				t.Errorf("a table is in <%s %v>, want a named region that can be focused", p.Data, p.Attr)
			}
		case n.Data == "th" && attr(n, "scope") == "":
			t.Errorf("a header has no scope: %s", text(n))
		case n.Data == "svg" && attr(n, "role") == "img":
			plots++
			var has []string
			for c := range n.ChildNodes() {
				if c.Data == "title" || c.Data == "desc" {
					has = append(has, attr(c, "id"))
					if text(c) == "" {
						t.Errorf("a chart has an empty <%s>", c.Data)
					}
				}
			}
			if labels := strings.Fields(attr(n, "aria-labelledby")); len(has) != 2 || !slices.Equal(labels, has) {
				t.Errorf("a chart is labelled by %q, has %q", labels, has)
			}
		case n.Data == "svg" && attr(n, "aria-hidden") != "true":
			t.Errorf("a drawing is neither described nor hidden: %v", n.Attr)
		case regexp.MustCompile(`^h[1-6]$`).MatchString(n.Data):
			if now := int(n.Data[1] - '0'); now > level+1 {
				t.Errorf("<%s> follows <h%d>", n.Data, level)
			} else {
				level = now
			}
		}
	}
	if tables != 6 || plots != 10 { // 8 rates, temperature and power
		t.Errorf("got %d tables and %d charts, want 6 and 10", tables, plots)
	}
}

func TestTimeline(t *testing.T) {
	b := summary.Build{Report: artifact.Report{Phases: []artifact.Phase{
		{Name: "launch", Seconds: 10, WaitedSeconds: 6, OvershootSeconds: 2}, {Name: "tags", Seconds: 0.5}, {Name: "copy", Seconds: 89.5, WaitedSeconds: 200, OvershootSeconds: 300},
	}}}
	rows := timeline(b)
	if len(rows) != 3 || rows[2].Short != 1 || rows[2].Seconds != 0.5 {
		t.Fatalf("got %+v", rows)
	}
	launch, waited := rows[0], rows[1]
	if launch.At != 0 || launch.Length != 100 || launch.WaitAt() != 40 || launch.Wait != 60 || launch.OverAt() != 80 || launch.Over != 20 {
		t.Errorf("got the bar %+v", launch)
	}
	// The tags were between; a wait is never longer than its phase.
	if waited.Start != 10.5 || waited.At != 105 || waited.Length != 895 || waited.Wait != 895 || waited.Over != 895 {
		t.Errorf("got the bar %+v", waited)
	}
}

// TestChart reads the drawing back: points, band and labels are where the numbers say.
func TestChart(t *testing.T) {
	c := chart{ID: "c", Title: "T", Desc: "D", Band: [2]float64{24, 26}, Middle: 25, Lines: []line{{X: []float64{0, 30, 60}, Y: []float64{24, 26, 25}}}}
	svg, err := c.svg()
	if err != nil {
		t.Fatal(err)
	}
	points := func(class string) (all [][2]float64) {
		path := regexp.MustCompile(`d="([^"]*)" class="` + class + `[^"]*"`).FindStringSubmatch(string(svg))
		if path == nil {
			t.Fatalf("the chart has no %s:\n%s", class, svg)
		}
		for _, p := range regexp.MustCompile(`(-?\d+) (-?\d+)`).FindAllStringSubmatch(path[1], -1) {
			var x, y float64
			_ = json.Unmarshal([]byte(p[1]), &x)
			_ = json.Unmarshal([]byte(p[2]), &y)
			all = append(all, [2]float64{x, y})
		}
		return all
	}
	rate, middle, limits := points("c-line c-0"), points("c-middle"), points("c-band")
	if len(rate) != 3 || math.Abs(rate[1][0]-(rate[0][0]+rate[2][0])/2) > 1 || math.Abs(rate[2][1]-(rate[0][1]+rate[1][1])/2) > 1 || rate[1][1] >= rate[0][1] {
		t.Errorf("got the line %v", rate)
	}
	if middle[0][1] != rate[2][1] || slices.MinFunc(limits, byY)[1] != rate[1][1] || slices.MaxFunc(limits, byY)[1] != rate[0][1] {
		t.Errorf("got the band %v, the median %v, want those of the line %v", limits, middle, rate)
	}
	for _, want := range []string{">24.0<", ">26.0<", ">0<", ">60<"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the chart has no label %s:\n%s", want, svg)
		}
	}
	for _, few := range []chart{{}, {Lines: []line{{X: []float64{1}, Y: []float64{1}}}}, {Lines: []line{{X: []float64{1, 1}, Y: []float64{1, 2}}}}} {
		if _, err := few.svg(); !errors.Is(err, errFewPoints) {
			t.Errorf("got %v for %v", err, few.Lines)
		}
	}
}

func byY(p, q [2]float64) int {
	if p[1] < q[1] {
		return -1
	} else if p[1] > q[1] {
		return 1
	}
	return 0
}

func TestAxis(t *testing.T) {
	for _, test := range []struct {
		low, high float64
		want      string
	}{
		{0, 60, "0 20 40 60"},
		{24.8, 25.6, "24.8 25.0 25.2 25.4 25.6"},
		{5, 5, "4.0 4.5 5.0 5.5 6.0"},
		{0, 0.004, "0.000 0.001 0.002 0.003 0.004"},
		{51, 79, "50 60 70 80"},
		{0, 123456, "0 50000 100000 150000"},
	} {
		var got []string
		for _, tick := range axis(test.low, test.high) {
			got = append(got, tick.Label)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%v to %v: got %q, want %q", test.low, test.high, got, test.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	m := measured(1)
	m.Stable, m.LateCollections, m.Verdict = false, 2, miner.VerdictFailed
	hot := measured(1)
	hot.Devices[0].Hot, hot.Devices[0].SlowedBy, hot.Xids = true, []string{"thermal slowdown"}, []string{"NVRM: Xid (PCI:0000:00:1e): 79, GPU has fallen off the bus."}
	slow := measured(1)
	slow.Floor = 99e6
	for name, test := range map[string]struct {
		build summary.Build
		want  []string
	}{
		"nothing":      {summary.Build{Measured: ptr(measured(1))}, nil},
		"no benchmark": {summary.Build{}, []string{"not benchmarked"}},
		"unreadable":   {summary.Build{Unreadable: errors.New("schema_version 2")}, []string{"cannot be shown: schema_version 2"}},
		"unsteady":     {summary.Build{Measured: &m}, []string{"has no verdict", "not stable", "2 collections"}},
		"a sick GPU":   {summary.Build{Measured: &hot}, []string{"fallen off the bus", "cu0 is overheating"}},
		"too slow":     {summary.Build{Measured: &slow}, []string{"The benchmark failed: measured 25"}},
		"the build": {
			summary.Build{Measured: ptr(measured(1)), Report: artifact.Report{Capture: "no-reboot", SpotReclaims: 2, ReclaimedSeconds: 90, Unreleased: true, Resumed: true, FailedAccounts: map[string]map[string]string{"123456789012": {"us-east-1": "denied"}}}},
			[]string{"The images are not released", "Account 123456789012 has no image in us-east-1: denied", "file systems may be inconsistent", "interrupted 2 spot instances", "earlier run"},
		},
	} {
		got := warnings(test.build)
		if len(got) != len(test.want) {
			t.Errorf("%s: got %q, want %d warnings", name, got, len(test.want))
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s: got %q, want %q", name, got[i], want)
			}
		}
	}
}

func ptr[T any](v T) *T { return &v }
