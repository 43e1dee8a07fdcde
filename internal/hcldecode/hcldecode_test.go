// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package hcldecode_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hcldecode"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

func TestDecodeTemplates(t *testing.T) {
	type target struct {
		Name    string            `mapstructure:"name"`
		Wait    time.Duration     `mapstructure:"wait"`
		Later   string            `mapstructure:"later"`
		Labels  map[string]string `mapstructure:"labels"`
		Regions []string          `mapstructure:"regions"`
	}
	const want = `, want a valid template such as "{{timestamp}}": `
	for name, test := range map[string]struct {
		raw map[string]any
		bad string
	}{
		"valid":    {raw: map[string]any{"name": "{{timestamp}}", "later": "{{ .Region }}"}},
		"unclosed": {raw: map[string]any{"name": "{{timestamp", "wait": "soon"}, bad: `name: got "{{timestamp"` + want + "unclosed action\n" + `wait: got "soon", want a duration such as "90s", "30m" or "1h30m"`},
		"refused":  {raw: map[string]any{"name": "{{ env `HOME` }}"}, bad: "name: got \"{{ env `HOME` }}\"" + want + "<env `HOME`>: error calling env: env vars are not allowed here"},
		"parsed":   {raw: map[string]any{"later": "{{ nope }}"}, bad: `later: got "{{ nope }}"` + want + `function "nope" not defined`},
		"nested": {raw: map[string]any{"labels": map[string]any{"a": "{{", "b": "x"}, "regions": []any{"x", "{{if"}},
			bad: `labels.a: got "{{"` + want + "unclosed action\n" + `regions[1]: got "{{if"` + want},
		"a key": {raw: map[string]any{"labels": map[string]string{"{{": "x"}}, bad: `labels: got "{{"` + want},
	} {
		t.Run(name, func(t *testing.T) {
			bad, err := hcldecode.Decode(&target{}, &config.DecodeOpts{
				Interpolate: true, InterpolateContext: &interpolate.Context{}, InterpolateFilter: &interpolate.RenderFilter{Exclude: []string{"later"}},
			}, test.raw)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			if err := errors.Join(bad...); err != nil {
				text = err.Error()
			}
			if !strings.HasPrefix(text, test.bad) || text != "" && test.bad == "" {
				t.Errorf("got errors\n%s\nwant\n%s", text, test.bad)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	type block struct {
		Wait time.Duration `mapstructure:"wait"`
		Name string        `mapstructure:"name"`
		Days string        `mapstructure:"days"`

		Labels map[string]string `mapstructure:"labels"`
	}
	type target struct {
		block  `mapstructure:",squash"`
		Block  block   `mapstructure:"block"`
		Blocks []block `mapstructure:"blocks"`
	}
	const want = `, want a duration such as "90s", "30m" or "1h30m"`
	for name, test := range map[string]struct {
		raw  map[string]any
		bad  string
		wait time.Duration
	}{
		"a duration":            {raw: map[string]any{"wait": "1h30m"}, wait: 90 * time.Minute},
		"unknown":               {raw: map[string]any{"wait": hclvalue.Unknown}},
		"words":                 {raw: map[string]any{"wait": "1 hour"}, bad: `wait: got "1 hour"` + want},
		"a number without unit": {raw: map[string]any{"wait": "30"}, bad: `wait: got "30"` + want},
		"the same text elsewhere": {raw: map[string]any{
			"wait": "1d", "days": "1d", "name": "1d", "labels": map[string]any{"wait": "1d"}, "packer_build_name": "1d",
			"block": map[string]any{"days": "1d"}, "blocks": []map[string]any{{"name": "1d"}},
		}, bad: `wait: got "1d"` + want},
		"not a duration":    {raw: map[string]any{"days": "1d", "labels": map[string]any{"wait": "30"}}},
		"in a block":        {raw: map[string]any{"block": map[string]any{"wait": "soon"}}, bad: `block.wait: got "soon"` + want},
		"in one of several": {raw: map[string]any{"blocks": []map[string]any{{"wait": "1s"}, {"wait": "soon"}}}, bad: `blocks.wait: got "soon"` + want},
		"two at once":       {raw: map[string]any{"wait": "x", "block": map[string]any{"wait": "y"}}, bad: `block.wait: got "y"` + want + "\n" + `wait: got "x"` + want},
	} {
		t.Run(name, func(t *testing.T) {
			var got target
			bad, err := hcldecode.Decode(&got, &config.DecodeOpts{}, test.raw)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			if err := errors.Join(bad...); err != nil {
				text = err.Error()
			}
			if text != test.bad || got.Wait != test.wait {
				t.Errorf("got wait %s, errors\n%s\nwant %s, errors\n%s", got.Wait, text, test.wait, test.bad)
			}
		})
	}
}
