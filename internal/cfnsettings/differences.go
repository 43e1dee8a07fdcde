// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfnsettings

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Text returns the settings as JSON, for a later call of Differences. It has the
// names of the stack set's parameters and overrides but not their values, which may
// be secret.
func (s *Settings) Text() string {
	text, err := json.Marshal(s.flat())
	if err != nil {
		return "{}" // strings always encode
	}
	return string(text)
}

// Differences compares the settings with the result of an earlier Text and
// returns a line for each option that differs.
func (s *Settings) Differences(text string) []string {
	checked, now := map[string]string{}, s.flat()
	if err := json.Unmarshal([]byte(text), &checked); err != nil {
		return []string{"cannot read the settings that were checked: " + err.Error()}
	}
	all := maps.Clone(checked)
	maps.Copy(all, now)
	var lines []string
	for _, option := range slices.Sorted(maps.Keys(all)) {
		if checked[option] != now[option] {
			lines = append(lines, fmt.Sprintf("%s: got %q, checked %q", option, now[option], checked[option]))
		}
	}
	return lines
}

func (s *Settings) flat() map[string]string {
	all := map[string]string{}
	flatten(reflect.ValueOf(*s), "", all)
	all["verify_amis"] = strconv.FormatBool(!s.VerifyAMIs.False())
	for _, path := range []string{"template", "output", "manifest"} {
		if all[path] != "" {
			all[path] = filepath.Clean(all[path])
		}
	}
	return all
}

// ordered maps the lists whose order matters to the number of leading elements for
// which it does. Of publish.s3.regions, only the first region has a special role.
var ordered = map[string]int{"publish.s3.regions": 1, "publish.stack_set.operation_preferences.region_order": math.MaxInt}

// flatten adds the options of a struct that are set, each under its path.
func flatten(v reflect.Value, path string, all map[string]string) {
	if v.IsZero() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		flatten(v.Elem(), path, all)
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("mapstructure"), ",")
			flatten(v.Field(i), strings.TrimPrefix(path+"."+name, "."), all)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			value := v.MapIndex(key).String()
			if strings.HasPrefix(path, "publish.stack_set.parameter") { // parameters and parameter_overrides
				value = "set"
			}
			all[fmt.Sprintf("%s[%q]", path, key.String())] = value
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct { // repeated blocks
			for i := range v.Len() {
				flatten(v.Index(i), fmt.Sprintf("%s[%d]", path, i), all)
			}
			return
		}
		var list []string
		for i := range v.Len() {
			list = append(list, fmt.Sprint(v.Index(i).Interface()))
		}
		slices.Sort(list[min(ordered[path], len(list)):])
		all[path] = strings.Join(list, ", ")
	default:
		all[path] = fmt.Sprint(v.Interface())
	}
}
