// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfnsettings"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

// checkPublishing checks ethminer_cfn as far as possible without requests.
func (c *Config) checkPublishing() (errs []error) {
	if !c.publishes {
		return nil
	}
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(cfnsettings.OfBuilder+"."+format, args...))
	}
	s := &c.EthminerCFN
	s.Prepare(c.PackerBuildName, fail)
	if s.RequireLaunchTest && c.LaunchTest == nil {
		fail("require_launch_test: got true, but the build makes no launch test; add a launch_test block")
	}
	if s.Template == "" || s.Template == hclvalue.Unknown || !c.Rehearsal {
		return errs
	}
	if same, err := s.InPlace(); err == nil && same {
		fail("output: the same file as template, which a rehearsal never edits; set it to another file")
	}
	return errs
}
