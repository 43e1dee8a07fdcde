// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package nvidia maps EC2 instance types to the packages of NVIDIA's driver and CUDA
// toolkit on Ubuntu. It has no side effects.
package nvidia

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
)

// known returns the catalog entry of an instance type or family, or an error if it
// is unsupported.
func known(instanceType string) (gpucatalog.Entry, error) {
	e, err := gpucatalog.Lookup(instanceType)
	if err == nil && e.Refused != "" {
		err = fmt.Errorf("instance type %q: %s; choose another type, such as g4dn.xlarge", instanceType, e.Refused)
	}
	return e, err
}

// Compute returns the compute capability of an instance type or family, without the
// dot: "75".
func Compute(instanceType string) (string, error) {
	e, err := known(instanceType)
	return e.Compute, err
}

// Branches of the driver.
const (
	// DefaultBranch is a production branch that supports every supported GPU.
	DefaultBranch = 580
	// firstForCUDA13 is the first branch that supports CUDA 13.
	firstForCUDA13 = 580
)

// Driver lists the packages to install for a GPU.
type Driver struct {
	Branch   int
	Packages []string
	// FabricManager is true if nvidia-fabricmanager is one of them; it must run.
	FabricManager bool
}

// DriverFor returns Ubuntu's packages of a driver for an instance type, "" for an
// instance outside EC2. It uses the signed kernel modules that Ubuntu builds for the
// AWS kernel, so kernel upgrades compile nothing. A package with the suffix "=driver"
// must have the driver's version.
func DriverFor(instanceType string, branch int) (Driver, error) {
	var g gpucatalog.Entry
	if instanceType != "" {
		var err error
		if g, err = known(instanceType); err != nil {
			return Driver{}, err
		}
	}
	if g.LastBranch > 0 && branch > g.LastBranch {
		return Driver{}, fmt.Errorf("driver_branch %d: %s has a %s, which no branch after %d supports; expected driver_branch %d or less", branch, instanceType, g.Name, g.LastBranch, g.LastBranch)
	}
	flavour := "-open"
	if g.Proprietary {
		flavour = ""
	}
	d := Driver{
		Branch: branch,
		Packages: []string{
			"linux-aws",
			fmt.Sprintf("linux-modules-nvidia-%d-server%s-aws", branch, flavour),
			fmt.Sprintf("nvidia-headless-no-dkms-%d-server%s", branch, flavour),
			fmt.Sprintf("nvidia-utils-%d-server", branch),
		},
		FabricManager: g.FabricManager,
	}
	if g.FabricManager {
		d.Packages = append(d.Packages, fmt.Sprintf("nvidia-fabricmanager-%d=driver", branch))
	}
	return d, nil
}
