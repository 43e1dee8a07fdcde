// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"time"
)

// tools installs what the build needs and the instance lacks.
func (r *run) tools(ctx context.Context) (string, error) {
	s := script{name: "tools", asRoot: true, bound: 15 * time.Minute}
	if !r.config.parsed.local {
		s.args = []string{"git"}
	}
	a, err := r.machine.run(ctx, s)
	if err != nil {
		return "", err
	}
	if installed := a.fact("installed"); installed != "" {
		return "installed " + installed, nil
	}
	return "all there", nil
}
