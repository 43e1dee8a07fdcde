// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/edits"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// edits changes the source so that it builds here and mines the coin, and
// applies the user's patches.
func (r *run) edits(ctx context.Context) (string, error) {
	if _, err := r.machine.run(ctx, script{name: "patches", bound: time.Minute}); err != nil {
		return "", err
	}
	for i, patch := range r.config.Patches {
		if err := r.uploadFile(ctx, patch, fmt.Sprintf("patches/%03d.patch", i)); err != nil {
			return "", err
		}
	}
	table := r.editTable()
	if r.coin() == miner.ETC {
		knows, err := r.knowsEtchash(ctx)
		if err != nil {
			return "", err
		}
		if knows {
			table = slices.DeleteFunc(table, func(e edits.Edit) bool {
				return slices.ContainsFunc(edits.Etchash(), func(o edits.Edit) bool { return o.Name == e.Name })
			})
		}
	}
	var args []string
	for _, e := range table {
		args = append(args, e.Args()...)
	}
	a, err := r.machine.run(ctx, script{
		name:  "edits",
		args:  args,
		bound: 5 * time.Minute,
		lines: func(line string) { r.ui.Say(line) },
	})
	if err != nil {
		return "", err
	}
	r.built.Edits = a.facts["edit"]
	// A run that goes on from here still names them in the inventory.
	data, err := json.Marshal(r.built)
	if err != nil {
		return "", err
	}
	if err := r.note(ctx, "built", string(data), "scratch"); err != nil {
		return "", err
	}
	if n := len(r.built.Edits); n > 0 {
		return fmt.Sprintf("%d files edited", n), nil
	}
	return "none needed", nil
}

// edited reads what an earlier run has noted.
func (r *run) edited() { _ = json.Unmarshal([]byte(r.stamps["built"]), &r.built) }

// editTable is what is to be edited: for the build always, since an edit leaves
// a source alone that has not its construct, and for the coin.
func (r *run) editTable() []edits.Edit {
	var table []edits.Edit
	if len(r.config.BuildCommands) == 0 {
		pinned := r.config.Source == Upstream && r.config.SourceRef == UpstreamCommit
		table = edits.Build(pinned)
	}
	if r.coin() == miner.ETC {
		table = append(table, edits.Etchash()...)
	}
	return slices.DeleteFunc(table, func(e edits.Edit) bool { return slices.Contains(r.config.SkipEdits, e.Name) })
}

// coin is what is to be mined.
func (r *run) coin() miner.Coin { return miner.Coin(r.config.Coin) }

// knowsEtchash says whether the source mines Ethereum Classic as it stands, and
// refuses one that neither does nor can be edited: it would pass a benchmark
// and have every share rejected.
func (r *run) knowsEtchash(ctx context.Context) (bool, error) {
	a, err := r.machine.run(ctx, script{name: "coin", bound: time.Minute})
	if err != nil {
		return false, err
	}
	switch a.fact("etchash") {
	case "known":
		return true, nil
	case "editable":
		return false, nil
	}
	return false, fmt.Errorf("coin %q: the source names neither Etchash nor ECIP-1099 and is not ethminer's, which could be edited: it would mine on the DAG of another epoch, pass a benchmark, and have every share rejected; name a source that mines Ethereum Classic, or set coin = %q", miner.ETC, miner.Custom)
}
