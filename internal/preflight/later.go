// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import "context"

// Later checks what follows the build, such as publishing, and reports its own
// findings. architecture is the source image's; empty if unknown.
type Later struct {
	Name  string
	Check func(ctx context.Context, architecture string) []Finding
}

func (p *plan) later(ctx context.Context, n *notes) {
	architecture := p.Architecture
	if p.Launch != nil {
		if image, err := p.source(); err == nil {
			architecture = string(image.Architecture)
		}
	}
	n.find(p.Later.Check(ctx, architecture)...)
}
