// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// clean removes build dependencies, the scratch folder and everything that a
// shared image must not contain but the keys of SSH, and writes the inventory.
func (r *run) clean(ctx context.Context) (string, error) {
	if _, err := r.machine.Run(ctx, remote.Script{Name: "purge", AsRoot: true, Bound: 15 * time.Minute}); err != nil {
		return "", err
	}
	a, err := r.machine.Run(ctx, remote.Script{Name: "clean", Args: []string{r.shareable()}, AsRoot: true, Bound: 5 * time.Minute})
	if err != nil {
		return "", err
	}
	grown := r.grown(a.Fact("used_kb"))
	data, err := r.inventory(grown)
	if err != nil {
		return "", err
	}
	if err := r.machine.Upload(ctx, "inventory.json", bytes.NewReader(data)); err != nil {
		return "", err
	}
	if _, err := r.machine.Run(ctx, remote.Script{Name: "inventory", AsRoot: true, Bound: time.Minute}); err != nil {
		return "", err
	}
	return fmt.Sprintf("removed %s kB of scratch data; the root volume grew by %.1f MB, not counting the driver", a.Fact("kilobytes"), float64(grown)/1024), nil
}

// baseline records, once, the used space of the root volume before the first
// change.
func (r *run) baseline(ctx context.Context) error {
	if r.stamps["used-kb"] != "" {
		return nil
	}
	r.stamps["used-kb"] = strconv.Itoa(r.found.usedKB)
	return r.note(ctx, "used-kb", r.stamps["used-kb"], "image")
}

// grown returns by how many kB the root volume grew, not counting the driver.
func (r *run) grown(used string) int {
	now, _ := strconv.Atoi(used)
	before, _ := strconv.Atoi(r.stamps["used-kb"])
	driver, _ := strconv.Atoi(r.stamps["driver-kb"])
	return now - before - driver
}

// shareable returns whether the image may be shared, as the scripts expect it.
func (r *run) shareable() string {
	if r.config.Shareable.False() {
		return "no"
	}
	return "yes"
}

// leave removes the folder of the scripts, and the keys of SSH from a shared image.
func (r *run) leave(ctx context.Context) error {
	_, err := r.machine.Run(ctx, remote.Script{Name: "leave", Args: []string{r.shareable()}, AsRoot: true, Bound: time.Minute})
	return err
}
