// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"errors"
	"fmt"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
)

// unreleased returns why the images of a build must not be used: a launch test has
// failed, and the build has kept them (on_launch_test_failure = "keep"). It is empty for
// all others.
func unreleased(source packersdk.Artifact) string {
	report := reportOf(source)
	failed := report.FailedTests()
	if !report.Unreleased && len(failed) == 0 {
		return ""
	}
	var lines []string
	for _, t := range report.LaunchTests {
		if t.Verdict != artifact.TestPassed {
			lines = append(lines, fmt.Sprintf("%s in %s %s: %s", t.Image, t.Region, t.Verdict, t.Reason))
		}
	}
	return strings.Join(lines, "\n")
}

// checkLaunchTest refuses a build without a passed launch test, if one is required. A
// template with images of other builds is checked by their tags (verify_amis).
func (p *PostProcessor) checkLaunchTest(source packersdk.Artifact) error {
	if !p.config.RequireLaunchTest || source.BuilderId() != artifact.BuilderID {
		return nil
	}
	report := reportOf(source)
	if report.PassedTest() {
		return nil
	}
	for _, t := range report.LaunchTests {
		return fmt.Errorf("require_launch_test: the launch test of %s in %s was %s: %s; run the build again with its build_id, or test the image with packer-plugin-ethminer test-image", t.Image, t.Region, t.Verdict, t.Reason)
	}
	return errors.New("require_launch_test: the build made no launch test; add a launch_test block to the source block")
}
