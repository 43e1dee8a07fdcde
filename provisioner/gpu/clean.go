// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"
)

// clean takes away what only the build needed, writes down what is on the
// image, and removes the scratch folder and what an image that is shared must
// not have.
func (r *run) clean(ctx context.Context) (string, error) {
	if _, err := r.machine.run(ctx, script{name: "purge", asRoot: true, bound: 15 * time.Minute}); err != nil {
		return "", err
	}
	shareable := "yes"
	if r.config.Shareable.False() {
		shareable = "no"
	}
	a, err := r.machine.run(ctx, script{name: "clean", args: []string{shareable}, asRoot: true, bound: 5 * time.Minute})
	if err != nil {
		return "", err
	}
	grown := r.grown(a.fact("used_kb"))
	data, err := r.inventory(grown)
	if err != nil {
		return "", err
	}
	if err := r.machine.upload(ctx, r.machine.path("inventory.json"), bytes.NewReader(data)); err != nil {
		return "", err
	}
	if _, err := r.machine.run(ctx, script{name: "inventory", asRoot: true, bound: time.Minute}); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s kB of scratch removed; the root volume has grown by %.1f MB besides the driver", a.fact("kilobytes"), float64(grown)/1024), nil
}

// baseline notes once how full the root volume was before anything was done.
func (r *run) baseline(ctx context.Context) error {
	if r.stamps["used-kb"] != "" {
		return nil
	}
	r.stamps["used-kb"] = strconv.Itoa(r.found.usedKB)
	return r.note(ctx, "used-kb", r.stamps["used-kb"], "image")
}

// grown is by how many kB the root volume has grown besides the driver.
func (r *run) grown(used string) int {
	now, _ := strconv.Atoi(used)
	before, _ := strconv.Atoi(r.stamps["used-kb"])
	driver, _ := strconv.Atoi(r.stamps["driver-kb"])
	return now - before - driver
}

// leave removes the folder of the scripts.
func (r *run) leave(ctx context.Context) error {
	_, err := r.machine.run(ctx, script{name: "leave", asRoot: true, bound: time.Minute})
	return err
}
