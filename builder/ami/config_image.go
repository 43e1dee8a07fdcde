// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown

package ami

import "fmt"

// ImageConfig says how the image is taken of the instance.
type ImageConfig struct {
	// How the instance's file systems are brought to rest before its snapshots
	// are begun. `stop` (default): the instance is stopped, and the image is made
	// once it has. `reboot`: the image is made of the running instance, which EC2
	// itself shuts down for it and starts again, as it does for every spot
	// instance; once all snapshots are begun the instance is stopped, and it is
	// terminated once the image is there. That saves the wait for a stop, which
	// takes minutes for some GPU instances, and costs the time of a shutdown at
	// the instance's price. It cannot be had with `disable_stop_instance`,
	// `ena_support` or `sriov_support`, which need a stopped instance.
	Capture string `mapstructure:"capture" required:"false"`
}

// What capture may be.
const (
	captureStop   = "stop"
	captureReboot = "reboot"
)

// prepare fills in defaults and checks the options.
func (o *ImageConfig) prepare(c *Config) (warnings []string, errs []error) {
	switch o.Capture {
	case "":
		o.Capture = captureStop
	case captureStop, captureReboot:
	default:
		errs = append(errs, fmt.Errorf("capture: %q; expected %q or %q", o.Capture, captureStop, captureReboot))
	}
	if o.Capture != captureReboot {
		return nil, errs
	}
	for _, other := range []struct {
		attribute string
		set       bool
		why       string
	}{
		{"disable_stop_instance", c.DisableStopInstance, "the provisioners stop the instance"},
		{"ena_support", c.AMIENASupport.True(), "EC2 changes it on a stopped instance alone"},
		{"sriov_support", c.AMISriovNetSupport, "EC2 changes it on a stopped instance alone"},
	} {
		if other.set {
			errs = append(errs, fmt.Errorf("capture, %s: capture = \"reboot\" needs a running instance, and %s; leave one of them out", other.attribute, other.why))
		}
	}
	return nil, errs
}
