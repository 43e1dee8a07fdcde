// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

// InventoryPath is the path of the inventory on an image.
const InventoryPath = "/etc/ethminer/inventory.json"
