// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package catalog

// Owners of the public images.
const (
	Canonical = "099720109477"
	debian    = "136693071363"
	amazon    = "898082745236" // owner of the Deep Learning AMIs
)

// AliasAmazon is the owner alias of public images from Amazon and its verified
// providers.
const AliasAmazon = "amazon"

// PublicImage describes a public image.
type PublicImage struct {
	Owner, Name, Description, Arch, Login, Root string
	Date                                        string // of its creation, YYYY-MM-DD
	Size                                        int    // GiB
}

// PublicImages lists the public images of every region. Each has two versions, so that a
// build must select the newest.
var PublicImages = []PublicImage{
	{Canonical, "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20251015", "Canonical, Ubuntu, 22.04, amd64 jammy image", "x86_64", "ubuntu", "/dev/sda1", "2025-10-15", 8},
	{Canonical, "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260112", "Canonical, Ubuntu, 22.04, amd64 jammy image", "x86_64", "ubuntu", "/dev/sda1", "2026-01-12", 8},
	{Canonical, "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-20260112", "Canonical, Ubuntu, 22.04, arm64 jammy image", "arm64", "ubuntu", "/dev/sda1", "2026-01-12", 8},
	{Canonical, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20251022", "Canonical, Ubuntu, 24.04, amd64 noble image", "x86_64", "ubuntu", "/dev/sda1", "2025-10-22", 8},
	{Canonical, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260115", "Canonical, Ubuntu, 24.04, amd64 noble image", "x86_64", "ubuntu", "/dev/sda1", "2026-01-15", 8},
	{Canonical, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20251022", "Canonical, Ubuntu, 24.04, arm64 noble image", "arm64", "ubuntu", "/dev/sda1", "2025-10-22", 8},
	{Canonical, "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20260115", "Canonical, Ubuntu, 24.04, arm64 noble image", "arm64", "ubuntu", "/dev/sda1", "2026-01-15", 8},
	{debian, "debian-12-amd64-20251112-2294", "Debian 12 (20251112-2294)", "x86_64", "admin", "/dev/xvda", "2025-11-12", 8},
	{debian, "debian-12-amd64-20260112-2355", "Debian 12 (20260112-2355)", "x86_64", "admin", "/dev/xvda", "2026-01-12", 8},
	{debian, "debian-12-arm64-20260112-2355", "Debian 12 (20260112-2355)", "arm64", "admin", "/dev/xvda", "2026-01-12", 8},
	{amazon, "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 20251107", "Supported EC2 instances: G4dn, G5, G6, Gr6, G6e, P4d, P4de, P5, P5e, P5en", "x86_64", "ubuntu", "/dev/sda1", "2025-11-07", 75},
	{amazon, "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 20260116", "Supported EC2 instances: G4dn, G5, G6, Gr6, G6e, P4d, P4de, P5, P5e, P5en", "x86_64", "ubuntu", "/dev/sda1", "2026-01-16", 75},
	{amazon, "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 20251107", "Supported EC2 instances: G5g, P6e-GB200", "arm64", "ubuntu", "/dev/sda1", "2025-11-07", 75},
	{amazon, "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 20260116", "Supported EC2 instances: G5g, P6e-GB200", "arm64", "ubuntu", "/dev/sda1", "2026-01-16", 75},
	{amazon, "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) 20251114", "Supported EC2 instances: G4dn, G5, G6, Gr6, G6e, P4d, P4de, P5, P5e, P5en", "x86_64", "ubuntu", "/dev/sda1", "2025-11-14", 75},
	{amazon, "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) 20260123", "Supported EC2 instances: G4dn, G5, G6, Gr6, G6e, P4d, P4de, P5, P5e, P5en", "x86_64", "ubuntu", "/dev/sda1", "2026-01-23", 75},
	{amazon, "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) 20251114", "Supported EC2 instances: G5g, P6e-GB200", "arm64", "ubuntu", "/dev/sda1", "2025-11-14", 75},
	{amazon, "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) 20260123", "Supported EC2 instances: G5g, P6e-GB200", "arm64", "ubuntu", "/dev/sda1", "2026-01-23", 75},
}
