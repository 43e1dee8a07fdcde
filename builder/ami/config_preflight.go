// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

import "fmt"

// PreflightConfig says what is checked before anything is created.
type PreflightConfig struct {
	// What is asked of AWS before anything is created: `on` (default) checks
	// all that would make the build fail, and stops with everything that it
	// found; `only` stops there in any case, makes nothing, and succeeds where
	// it found nothing; `off` checks nothing. What the credentials do not allow
	// to ask is a warning.
	Preflight string `mapstructure:"preflight" required:"false"`
}

// What preflight may be.
const (
	preflightOn   = "on"
	preflightOnly = "only"
	preflightOff  = "off"
)

// prepare fills in defaults and checks the options.
func (o *PreflightConfig) prepare(*Config) (warnings []string, errs []error) {
	switch o.Preflight {
	case "":
		o.Preflight = preflightOn
	case preflightOn, preflightOnly, preflightOff, unknownValue:
	default:
		errs = append(errs, fmt.Errorf("preflight: %q; expected %q, %q or %q", o.Preflight, preflightOn, preflightOnly, preflightOff))
	}
	return nil, errs
}
