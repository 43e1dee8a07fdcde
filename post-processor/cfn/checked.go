// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfn

import (
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
)

// reportUnchecked reports the settings that differ from those that the builder's
// preflight checked.
func (p *PostProcessor) reportUnchecked(ui packersdk.Ui, source packersdk.Artifact) {
	checked, _ := source.State(artifact.StateChecked).(string)
	switch {
	case checked != "":
		if lines := p.config.Differences(checked); len(lines) > 0 {
			ui.Say("Warning: these settings differ from the builder's ethminer_cfn, which was checked before the build:\n  " + strings.Join(lines, "\n  "))
		}
	case source.BuilderId() == artifact.BuilderID && p.config.Publish.IsSet():
		ui.Say("Publishing was not checked before the build; to check it, define these options as a local and set ethminer_cfn = jsonencode(local.NAME) in the source")
	}
}
