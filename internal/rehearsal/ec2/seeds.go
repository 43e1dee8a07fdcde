// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Owners of the public images.
const (
	canonical = "099720109477"
	debian    = "136693071363"
)

// seedData are the public images that every region has, each in two editions
// so that the newest one has to be looked for.
var seedData = []struct {
	owner, name, description, arch, login, root, date string
}{
	{canonical, "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20251015", "Canonical, Ubuntu, 22.04, amd64 jammy image", "x86_64", "ubuntu", "/dev/sda1", "2025-10-15"},
	{canonical, "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260112", "Canonical, Ubuntu, 22.04, amd64 jammy image", "x86_64", "ubuntu", "/dev/sda1", "2026-01-12"},
	{canonical, "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-20260112", "Canonical, Ubuntu, 22.04, arm64 jammy image", "arm64", "ubuntu", "/dev/sda1", "2026-01-12"},
	{canonical, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20251022", "Canonical, Ubuntu, 24.04, amd64 noble image", "x86_64", "ubuntu", "/dev/sda1", "2025-10-22"},
	{canonical, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260115", "Canonical, Ubuntu, 24.04, amd64 noble image", "x86_64", "ubuntu", "/dev/sda1", "2026-01-15"},
	{canonical, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20251022", "Canonical, Ubuntu, 24.04, arm64 noble image", "arm64", "ubuntu", "/dev/sda1", "2025-10-22"},
	{canonical, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20260115", "Canonical, Ubuntu, 24.04, arm64 noble image", "arm64", "ubuntu", "/dev/sda1", "2026-01-15"},
	{debian, "debian-12-amd64-20251112-2294", "Debian 12 (20251112-2294)", "x86_64", "admin", "/dev/xvda", "2025-11-12"},
	{debian, "debian-12-amd64-20260112-2355", "Debian 12 (20260112-2355)", "x86_64", "admin", "/dev/xvda", "2026-01-12"},
	{debian, "debian-12-arm64-20260112-2355", "Debian 12 (20260112-2355)", "arm64", "admin", "/dev/xvda", "2026-01-12"},
}

func (r *region) seedImages() {
	for _, d := range seedData {
		made, err := time.Parse(time.DateOnly, d.date)
		if err != nil {
			panic(err) // the table above is wrong
		}
		kind := "gp3"
		if d.owner == canonical && d.date < "2026" && d.arch == "x86_64" {
			kind = "gp2"
		}
		img := &image{
			Platform: "Linux/UNIX", UsageOp: "RunInstances", Description: d.description, EnaSupport: true, Hypervisor: "xen", Name: d.name,
			RootName: d.root, RootType: "ebs", SriovNet: "simple", VirtType: "hvm", BootMode: "uefi-preferred", Imds: "",
			Deprecated: stamp(made.AddDate(2, 0, 0)), ImageID: hashID("ami", r.name, d.name), Location: "amazon/" + d.name, State: "available",
			OwnerID: d.owner, Created: stamp(made.Add(7 * time.Hour)), Public: true, Architecture: d.arch, Kind: "machine", Protection: "disabled",
			login: d.login, shared: permissions{{Group: "all"}}, seeded: true,
		}
		if d.arch == "arm64" {
			img.BootMode = "uefi"
		}
		img.Devices = query.SetOf(mapping{Name: d.root, Ebs: &mappingEbs{
			Delete: true, SnapshotID: hashID("snap", r.name, d.name), Size: 8, Kind: kind,
		}})
		if kind == "gp3" {
			img.Devices.Items[0].Ebs.Iops, img.Devices.Items[0].Ebs.Throughput = 3000, 125
		}
		r.images.put(img.ImageID, img)
	}
}
