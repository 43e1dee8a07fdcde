// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"time"
)

// clean removes the scratch folder. What else an image to share must lose
// belongs here too.
func (r *run) clean(ctx context.Context) (string, error) {
	a, err := r.machine.run(ctx, script{name: "clean", asRoot: true, bound: 2 * time.Minute})
	if err != nil {
		return "", err
	}
	return a.fact("kilobytes") + " kB of scratch removed", nil
}
