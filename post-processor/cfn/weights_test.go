// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
)

const weighted = `# a comment
Mappings:
  AWSRegion2AMI:
    us-east-1:
      AMI: ami-00000000000000001
    us-west-2:
      AMI: ami-00000000000000002
  InstanceTypes: # weights
    g4dn.xlarge:  { Weight: "3", Source: estimated } # one GPU
    g4dn.2xlarge: { Weight: "3", Source: measured }
    g4dn.metal:   { Weight: "20", Source: estimated }
    g5.xlarge:    { Weight: "6", Source: estimated } # another GPU
Resources: {}
`

// built is the state of the artifact of a build on a g4dn.xlarge with a benchmark.
func built(hashrate float64) map[string]any {
	report := artifact.Report{InstanceType: "g4dn.xlarge"}
	if hashrate > 0 {
		report.Benchmark = fmt.Appendf(nil, `{"schema_version": 1, "hashrate_hs": %f}`, hashrate)
	}
	text, err := report.JSON()
	if err != nil {
		panic(err) // strings and numbers only
	}
	return map[string]any{artifact.StateBuild: text}
}

func TestWeights(t *testing.T) {
	for _, test := range []struct {
		name, template string
		hashrate       float64
		replace        []string // in the template
		err, said      string
	}{
		{
			name: "measured and estimated", hashrate: 38.7e6, said: "g4dn.xlarge.Source: estimated -> measured",
			replace: []string{`g4dn.xlarge:  { Weight: "3", Source: estimated }`, `g4dn.xlarge:  { Weight: "4", Source: measured }`, `g4dn.2xlarge: { Weight: "3", Source: measured }`, `g4dn.2xlarge: { Weight: "4", Source: estimated }`, `"20"`, `"31"`, "ami-00000000000000001", amiA},
		},
		{
			name: "at least 1", hashrate: 200e3,
			replace: []string{`g4dn.xlarge:  { Weight: "3", Source: estimated }`, `g4dn.xlarge:  { Weight: "1", Source: measured }`, `g4dn.2xlarge: { Weight: "3", Source: measured }`, `g4dn.2xlarge: { Weight: "1", Source: estimated }`, `"20"`, `"1"`, "ami-00000000000000001", amiA},
		},
		{name: "no benchmark", said: "the build has no benchmark", replace: []string{"ami-00000000000000001", amiA}},
		{name: "too large", hashrate: 9e9, err: "g4dn.metal: got weight 7200"}, // the rows before it are not written either
		{name: "not an instance type", template: strings.Replace(weighted, "g5.xlarge", "t3.micro", 1), hashrate: 25e6, err: `"t3.micro": not a known GPU instance type`},
		{name: "no row for the GPU", template: strings.ReplaceAll(weighted, "g4dn", "g6"), hashrate: 25e6, err: "add one, such as g4dn.xlarge"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := cmp.Or(test.template, weighted)
			s := newScene(t, before, map[string]any{"weights": "InstanceTypes"})
			_, err := s.run(t, source("us-east-1:"+amiA, built(test.hashrate)))
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("got error %v, want %q", err, test.err)
			}
			if !strings.Contains(s.said.String(), test.said) {
				t.Errorf("said %q, want %q", s.said.String(), test.said)
			}
			if got, want := read(t, s.template), strings.NewReplacer(test.replace...).Replace(before); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestWeightsOfTwoBuilds: the second build to an output keeps the image of the first one,
// although its benchmark differs.
func TestWeightsOfTwoBuilds(t *testing.T) {
	settings := map[string]any{"weights": "InstanceTypes", "output": "DIR/out"}
	s := newScene(t, weighted, settings)
	out := filepath.Join(filepath.Dir(s.template), "out")
	for _, build := range []struct {
		id   string
		rate float64
	}{{"us-east-1:" + amiA, 25e6}, {"us-west-2:" + amiB, 35e6}} {
		if _, err := s.run(t, source(build.id, built(build.rate))); err != nil {
			t.Fatal(err)
		}
	}
	got := read(t, out)
	for _, want := range []string{amiA, amiB, `g4dn.metal:   { Weight: "28"`} {
		if !strings.Contains(got, want) {
			t.Errorf("the output lacks %s:\n%s", want, got)
		}
	}
}
