// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"cmp"
	"encoding/json"
)

// inventorySchema increases when a field changes its meaning or is removed.
const inventorySchema = 1

// inventory returns the file miner.InventoryPath, which lists what was installed on
// the image; packages.txt beside it lists every package. ethminer is licensed under
// the GPL-3, which requires that the source of the build is named.
func (r *run) inventory(grownKB int) ([]byte, error) {
	type licence struct {
		Name string `json:"name"`
		Of   string `json:"of"`
	}
	data, err := json.MarshalIndent(struct {
		SchemaVersion int    `json:"schema_version"`
		Miner         string `json:"miner"`
		SHA256        string `json:"sha256"`
		Source        string `json:"source"`
		// SourceSHA256 is the sum of a tarball, or of the archive of a folder.
		SourceSHA256 string `json:"source_sha256,omitempty"`
		built
		Coin         string    `json:"coin"`
		Device       string    `json:"device"`
		Compute      []string  `json:"compute_capabilities,omitempty"`
		Distribution string    `json:"distribution"`
		Kernel       string    `json:"kernel"`
		Driver       string    `json:"driver,omitempty"`
		CUDA         string    `json:"cuda,omitempty"`
		GrownKB      int       `json:"root_volume_grown_kb"`
		Licences     []licence `json:"licences"`
		Offer        string    `json:"source_offer"`
	}{
		SchemaVersion: inventorySchema,
		Miner:         r.report.Miner,
		SHA256:        r.stamps["binary"],
		Source:        r.config.SourceName(),
		SourceSHA256:  cmp.Or(r.config.SourceChecksum, r.sourceHash),
		built:         r.built,
		Coin:          r.config.Coin,
		Device:        r.found.device,
		Compute:       r.found.compute,
		Distribution:  r.found.distribution,
		Kernel:        r.found.kernel,
		Driver:        r.found.driver,
		CUDA:          r.found.toolkit.Version,
		GrownKB:       grownKB,
		Licences: []licence{
			{"GPL-3.0-only", "ethminer, its forks and their edits"},
			{"Apache-2.0", "the library ethash"},
			{"BSD-3-Clause", "the library CLI11"},
			{"MPL-2.0", "the units and helpers of this plugin"},
		},
		Offer: "the miner was built from source, at commit, with the edits and libraries named here",
	}, "", "  ")
	return append(data, '\n'), err
}
