// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

// InventoryPath is where an image carries the list of what was put on it.
const InventoryPath = "/etc/ethminer/inventory.json"
