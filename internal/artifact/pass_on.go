// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package artifact

// passedOn are the state keys that our post-processors pass on. HCP Packer's images are
// not among them: Packer reads them from the builder's artifact, which is kept.
var passedOn = []string{"generated_data", StateBuild, StateRehearsal, StateRehearsalDir, StateChecked, StateRemoval, StateTemplate}

// PassOn returns a copy of an artifact's state. A post-processor must copy what it passes
// on: Packer closes its connection to the source artifact when it returns.
func PassOn(state func(name string) any) map[string]any {
	values := make(map[string]any, len(passedOn))
	for _, name := range passedOn {
		if value := state(name); value != nil {
			values[name] = value
		}
	}
	return values
}
