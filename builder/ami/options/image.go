// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package options

import (
	"fmt"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
)

// ImageConfig configures how the image is created from the instance.
type ImageConfig struct {
	// How to create the image from the instance. `stop` (default) stops the
	// instance first. `reboot` creates the image from the running instance; EC2
	// shuts the instance down and starts it again, as it does by default for all
	// spot instances. `no-reboot` creates the image from the running instance
	// without a reboot, so that no service starts again before the snapshots.
	// With `no-reboot` the consistency of the file systems is not guaranteed:
	// the image lacks data that is still in memory, and a file that is being
	// written may be incomplete. Let the last provisioner stop the services that
	// write, and run `sync`. With `reboot` and `no-reboot` the instance is stopped
	// once all snapshots have started, and terminated once the image is available.
	// This saves the wait for a stop, which takes minutes for some GPU instances,
	// but the time until the snapshots start is billed as running time. Both
	// conflict with `disable_stop_instance`, `ena_support` and `sriov_support`,
	// which require a stopped instance. An image that fails is created again once.
	Capture string `mapstructure:"capture" required:"false"`
}

// Values of capture.
const (
	CaptureStop     = "stop"
	CaptureReboot   = "reboot"
	CaptureNoReboot = artifact.CaptureNoReboot
)

// prepare fills in defaults and checks the options.
func (o *ImageConfig) prepare(c *Config) (warnings []string, errs []error) {
	switch o.Capture {
	case "":
		o.Capture = CaptureStop
	case CaptureStop, CaptureReboot, hclvalue.Unknown:
	case CaptureNoReboot:
		warnings = append(warnings, fmt.Sprintf("capture: got %q, so EC2 does not guarantee consistent file systems in the image; "+
			"stop the services that write and run `sync` in the last provisioner, or use %q or %q", CaptureNoReboot, CaptureReboot, CaptureStop))
	default:
		errs = append(errs, fmt.Errorf("capture: got %q, want %q, %q or %q", o.Capture, CaptureStop, CaptureReboot, CaptureNoReboot))
	}
	if !o.CapturesRunning() {
		return warnings, errs
	}
	for _, other := range []struct {
		attribute string
		set       bool
		why       string
	}{
		{"disable_stop_instance", c.DisableStopInstance, "with disable_stop_instance the provisioners stop it"},
		{"ena_support", c.AMIENASupport.True(), "EC2 changes this attribute only on a stopped instance"},
		{"sriov_support", c.AMISriovNetSupport, "EC2 changes this attribute only on a stopped instance"},
	} {
		if other.set {
			errs = append(errs, fmt.Errorf("capture, %s: capture = %q requires a running instance, but %s; remove one of them", other.attribute, o.Capture, other.why))
		}
	}
	return warnings, errs
}

// CapturesRunning reports whether capture requires a running instance.
func (o *ImageConfig) CapturesRunning() bool {
	return o.Capture == CaptureReboot || o.Capture == CaptureNoReboot
}
