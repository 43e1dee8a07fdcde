// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package hcldecode decodes configurations like Packer's SDK, but reports invalid
// durations and templates itself: the SDK stops at the first one with Go's own error,
// which does not name the attribute and hides all other errors.
package hcldecode

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

// Decode decodes raws into target. mistakes has one error for each invalid duration
// and template, so that the caller can report them with its own errors.
func Decode(target any, o *config.DecodeOpts, raws ...any) (mistakes []error, err error) {
	var bad []string
	hook := func(from, to reflect.Type, data any) (any, error) {
		if from.Kind() != reflect.String || to != reflect.TypeFor[time.Duration]() {
			return data, nil
		}
		text := reflect.ValueOf(data).String()
		value, err := time.ParseDuration(text)
		if err != nil && text != hclvalue.Unknown && !slices.Contains(bad, text) {
			bad = append(bad, text)
		}
		return value, nil
	}
	o.DecodeHooks = append(append(config.DefaultDecodeHookFuncs[:0:0], hook), config.DefaultDecodeHookFuncs...)
	err = config.Decode(target, o, raws...)
	if err != nil && o.Interpolate && o.InterpolateContext != nil {
		t := templates{ctx: o.InterpolateContext}
		if t.fix(raws, o); len(t.errs) > 0 {
			mistakes, err = t.errs, config.Decode(target, o, raws...)
		}
	}
	if err != nil {
		return nil, errors.Join(append(mistakes, err)...)
	}
	for _, raw := range raws {
		w := wrong{texts: bad}
		w.find(reflect.TypeOf(target), raw, "")
		mistakes = append(mistakes, w.errs...)
	}
	slices.SortFunc(mistakes, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return mistakes, nil
}

// wrong finds the attributes with invalid durations, as a decode hook does not get
// the attributes' names.
type wrong struct {
	texts []string
	errs  []error
}

// find compares a value with the type that it is decoded into. It names attributes
// in blocks as block.attribute.
func (w *wrong) find(to reflect.Type, raw any, attribute string) {
	for to.Kind() == reflect.Pointer || to.Kind() == reflect.Slice {
		to = to.Elem()
	}
	switch raw := raw.(type) {
	case string:
		if to == reflect.TypeFor[time.Duration]() && slices.Contains(w.texts, raw) {
			w.errs = append(w.errs, fmt.Errorf("%s: got %q, want a duration such as \"90s\", \"30m\" or \"1h30m\"", attribute, raw))
		}
	case []map[string]any: // repeatable blocks
		for _, block := range raw {
			w.find(to, block, attribute)
		}
	case []any:
		for _, block := range raw {
			w.find(to, block, attribute)
		}
	case map[string]any:
		if to.Kind() != reflect.Struct {
			return
		}
		for i := range to.NumField() {
			field := to.Field(i)
			name, flags, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
			if strings.Contains(flags, "squash") {
				w.find(field.Type, raw, attribute)
				continue
			}
			for _, key := range slices.Sorted(maps.Keys(raw)) {
				if strings.EqualFold(key, cmp.Or(name, field.Name)) {
					w.find(field.Type, raw[key], strings.TrimPrefix(attribute+"."+key, "."))
				}
			}
		}
	}
}
