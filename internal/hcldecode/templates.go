// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package hcldecode

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// templates finds the attributes whose templates cannot be rendered, and replaces
// their values by unknown ones.
type templates struct {
	ctx  *interpolate.Context
	errs []error
}

// position matches the position in Go's template errors. Messages omit it, since a
// template has one line.
var position = lazyregexp.New(`^template: root:[0-9:]+ (executing "root" at )?`)

// fix replaces the invalid templates in raws.
func (t *templates) fix(raws []any, o *config.DecodeOpts) {
	for i, raw := range raws {
		options, ok := raw.(map[string]any)
		if !ok {
			continue
		}
		fixed := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(options)) {
			render := o.InterpolateFilter == nil || !slices.Contains(o.InterpolateFilter.Exclude, name)
			fixed[name] = t.value(options[name], name, render)
		}
		raws[i] = fixed
	}
}

// value returns a value without invalid templates. Excluded values are only parsed.
func (t *templates) value(value any, attribute string, render bool) any {
	switch value := value.(type) {
	case string:
		if t.wrong(value, attribute, render) {
			return hclvalue.Unknown
		}
	case map[string]any:
		fixed := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if at := attribute + "." + key; !t.wrong(key, attribute, render) {
				fixed[key] = t.value(value[key], at, render)
			}
		}
		return fixed
	case map[string]string:
		fixed := map[string]any{}
		for key, text := range value {
			fixed[key] = text
		}
		return t.value(fixed, attribute, render)
	case []map[string]any: // repeatable blocks
		fixed := make([]any, len(value))
		for i, block := range value {
			fixed[i] = block
		}
		return t.value(fixed, attribute, render)
	case []string:
		fixed := make([]any, len(value))
		for i, text := range value {
			fixed[i] = text
		}
		return t.value(fixed, attribute, render)
	case []any:
		fixed := make([]any, len(value))
		for i := range value {
			fixed[i] = t.value(value[i], fmt.Sprintf("%s[%d]", attribute, i), render)
		}
		return fixed
	}
	return value
}

func (t *templates) wrong(text, attribute string, render bool) bool {
	err := interpolate.Validate(text, t.ctx)
	if err == nil && render {
		_, err = interpolate.RenderOnce(text, t.ctx)
	}
	if err == nil {
		return false
	}
	why := err.Error()
	t.errs = append(t.errs, fmt.Errorf("%s: got %q, want a valid template such as \"{{timestamp}}\": %s", attribute, text, strings.TrimPrefix(why, position.FindString(why))))
	return true
}
