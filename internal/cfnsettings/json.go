// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfnsettings

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/zclconf/go-cty/cty"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

// HCL cannot assign an object to a block, and Packer's protocol has no object
// attributes. So that one local can configure the builder and the post-processor,
// each has an attribute that takes all options as JSON.

// JSON is the name of the post-processor's attribute, OfBuilder that of the
// builder's.
const (
	JSON      = "settings"
	OfBuilder = "ethminer_cfn"
)

// WithJSON adds the string attribute name to spec.
func WithJSON(spec hcldec.ObjectSpec, name string) hcldec.ObjectSpec {
	spec[name] = &hcldec.AttrSpec{Name: name, Type: cty.String}
	return spec
}

// Split removes the attribute name from raws, the arguments of Prepare, and
// returns its options; nil if it is not set.
func Split(raws []any, name string) (rest []any, options map[string]any, err error) {
	for _, raw := range raws {
		var value any
		switch v := raw.(type) {
		case cty.Value:
			raw, value = cut(v, name)
		case map[string]any:
			if value = v[name]; value != nil {
				v = maps.Clone(v)
				delete(v, name)
				raw = v
			}
		}
		rest = append(rest, raw)
		switch v := value.(type) {
		case nil:
		case map[string]any: // from a JSON template
			options = v
		case string:
			if options, err = parse(v); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", name, err)
			}
		default:
			return nil, nil, fmt.Errorf("%s: got %v, want JSON, such as jsonencode(local.cfn)", name, v)
		}
	}
	return rest, options, nil
}

// parse reads a JSON object of options. If Packer does not know the value yet, it
// returns an unknown template.
func parse(text string) (options map[string]any, err error) {
	if text == hclvalue.Unknown {
		return map[string]any{"template": hclvalue.Unknown}, nil
	}
	if err := json.Unmarshal([]byte(text), &options); err != nil || options == nil {
		return nil, fmt.Errorf("got %.40q, want a JSON object with the options of ethminer-cfn; write jsonencode(local.cfn)", text)
	}
	return options, nil
}

// cut removes an attribute from an HCL object and returns its value.
func cut(v cty.Value, name string) (rest, value any) {
	if !v.Type().IsObjectType() || v.IsNull() || !v.IsKnown() || !v.Type().HasAttribute(name) {
		return v, nil
	}
	attributes := v.AsValueMap()
	text := attributes[name]
	delete(attributes, name)
	rest = cty.ObjectVal(attributes)
	switch {
	case text.IsNull():
		return rest, nil
	case !text.IsKnown():
		return rest, hclvalue.Unknown
	}
	return rest, text.AsString()
}

// Inline puts the options of the attribute settings before the post-processor's
// own options, which take precedence.
func Inline(raws []any) ([]any, error) {
	rest, options, err := Split(raws, JSON)
	if err != nil || options == nil {
		return rest, err
	}
	return append([]any{options}, rest...), nil
}
