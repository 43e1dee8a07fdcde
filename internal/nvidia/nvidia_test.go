// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package nvidia

import (
	"strings"
	"testing"
)

func TestDriverFor(t *testing.T) {
	for _, test := range []struct {
		name, instanceType string
		branch             int
		want, err          string
	}{
		{"Turing uses the open module", "g4dn.xlarge", 580, "linux-aws linux-modules-nvidia-580-server-open-aws nvidia-headless-no-dkms-580-server-open nvidia-utils-580-server", ""},
		{"Turing on arm64 uses the open module", "g5g.xlarge", 570, "linux-aws linux-modules-nvidia-570-server-open-aws nvidia-headless-no-dkms-570-server-open nvidia-utils-570-server", ""},
		{"Volta needs the proprietary one", "p3.2xlarge", 580, "linux-aws linux-modules-nvidia-580-server-aws nvidia-headless-no-dkms-580-server nvidia-utils-580-server", ""},
		{"Volta supports no newer branch", "p3.2xlarge", 590, "", "driver_branch 590: p3.2xlarge has a V100"},
		{"NVSwitch needs the fabric manager, at the driver's version", "p4d.24xlarge", 580, "linux-aws linux-modules-nvidia-580-server-open-aws nvidia-headless-no-dkms-580-server-open nvidia-utils-580-server nvidia-fabricmanager-580=driver", ""},
		{"one GPU has no NVSwitch", "p5.4xlarge", 580, "linux-aws linux-modules-nvidia-580-server-open-aws nvidia-headless-no-dkms-580-server-open nvidia-utils-580-server", ""},
		{"eight GPUs have NVSwitch", "p5.48xlarge", 580, "linux-aws linux-modules-nvidia-580-server-open-aws nvidia-headless-no-dkms-580-server-open nvidia-utils-580-server nvidia-fabricmanager-580=driver", ""},
		{"K80 is unsupported", "p2.xlarge", 580, "", "K80 requires driver branch 470"},
		{"M60 is unsupported", "g3.4xlarge", 580, "", "M60 is no longer supported"},
		{"a fraction of a GPU", "g6f.large", 580, "", "GRID driver"},
		{"no GPU", "m5.large", 580, "", `instance type "m5.large": not a known GPU instance type`},
	} {
		got, err := DriverFor(test.instanceType, test.branch)
		if strings.Join(got.Packages, " ") != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: got %q, %v, want %q, %q", test.name, got.Packages, err, test.want, test.err)
		}
		if got.FabricManager != strings.Contains(test.want, "fabricmanager") {
			t.Errorf("%s: got fabric manager %v", test.name, got.FabricManager)
		}
	}
}
