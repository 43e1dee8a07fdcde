// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/minerpatch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/remote"
)

// edits applies the edits that the build and the coin require, and the user's
// patches.
func (r *run) edits(ctx context.Context) (string, error) {
	if _, err := r.machine.Run(ctx, remote.Script{Name: "patches", Bound: time.Minute}); err != nil {
		return "", err
	}
	for i, patch := range r.config.Patches {
		if err := r.machine.UploadFile(ctx, patch, fmt.Sprintf("patches/%03d.patch", i)); err != nil {
			return "", err
		}
	}
	table := r.editTable()
	knowledge, err := r.machine.Run(ctx, remote.Script{Name: "coin", Bound: time.Minute})
	if err != nil {
		return "", err
	}
	knows := knowledge.Fact("etchash")
	if r.coin() == miner.Custom && knows == "editable" {
		r.ui.Errorf("warning: coin %q: this source mines Ethash, whose only active coin is EthereumPoW; set coin = %q for Ethereum Classic, or coin = %q", miner.Custom, miner.ETC, miner.ETHW)
	}
	if r.coin() == miner.ETC {
		if err := checkEtchash(knows); err != nil {
			return "", err
		}
		if knows == "known" {
			table = slices.DeleteFunc(table, func(e minerpatch.Edit) bool {
				return slices.ContainsFunc(minerpatch.Etchash(), func(o minerpatch.Edit) bool { return o.Name == e.Name })
			})
		}
	}
	var args []string
	for _, e := range table {
		args = append(args, e.Args()...)
	}
	a, err := r.machine.Run(ctx, remote.Script{
		Name:  "edits",
		Args:  args,
		Bound: 5 * time.Minute,
		Lines: func(line string) { r.ui.Say(line) },
	})
	if err != nil {
		return "", err
	}
	r.built.Edits = a.Facts("edit")
	// A resumed run needs them for the inventory.
	data, err := json.Marshal(r.built)
	if err != nil {
		return "", err
	}
	if err := r.note(ctx, "built", string(data), "scratch"); err != nil {
		return "", err
	}
	if n := len(r.built.Edits); n > 0 {
		return fmt.Sprintf("edits applied: %d", n), nil
	}
	return "none needed", nil
}

// edited restores the record of an earlier run.
func (r *run) edited() { _ = json.Unmarshal([]byte(r.stamps["built"]), &r.built) }

// editTable returns the edits for the build and for the coin. An edit has no effect
// on a source without its construct.
func (r *run) editTable() []minerpatch.Edit {
	var table []minerpatch.Edit
	if len(r.config.BuildCommands) == 0 {
		table = minerpatch.Build(r.config.IsUpstream())
	}
	if r.coin() == miner.ETC {
		table = append(table, minerpatch.Etchash()...)
	}
	return slices.DeleteFunc(table, func(e minerpatch.Edit) bool { return slices.Contains(r.config.SkipEdits, e.Name) })
}

// checkEtchash returns an error for a source that neither mines Ethereum Classic
// nor can be edited to: it would pass the benchmark, but pools would reject every
// share.
func checkEtchash(knows string) error {
	if knows == "known" || knows == "editable" {
		return nil
	}
	return fmt.Errorf("coin %q: the source mentions neither Etchash nor ECIP-1099 and is not an ethminer source that the plugin can edit; it would use the wrong DAG, pass the benchmark, and have every share rejected; use a source that mines Ethereum Classic, or set coin = %q", miner.ETC, miner.Custom)
}
