// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package config

import (
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

// maxDuration is the greatest value of an option.
const maxDuration = time.Hour

// checkDuration parses the text of an option into a duration, or takes the preset.
func checkDuration(name, text string, preset, least time.Duration, into *time.Duration) error {
	*into = preset
	if text == "" || text == hclvalue.Unknown {
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
