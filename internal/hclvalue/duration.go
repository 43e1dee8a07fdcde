// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package hclvalue

import (
	"fmt"
	"time"
)

// maxDuration is the greatest value of an option.
const maxDuration = time.Hour

// Duration parses the text of the option name into a duration of least to one hour, or
// takes the preset if there is no text.
func Duration(name, text string, preset, least time.Duration, into *time.Duration) error {
	*into = preset
	if text == "" || text == Unknown {
		return nil
	}
	value, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%s %q: expected a duration with a unit, such as \"30s\" or \"2m\"", name, text)
	}
	if value < least || value > maxDuration {
		return fmt.Errorf("%s %q: expected a duration from %s to %s", name, text, least, maxDuration)
	}
	*into = value
	return nil
}
