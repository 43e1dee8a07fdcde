// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"fmt"
	"time"
)

// checkCommunicator refuses values that would fail only once the instance runs.
// Zero is a value that is not set.
func (c *Config) checkCommunicator() (errs []error) {
	for _, port := range []struct {
		attribute string
		value     int
	}{
		{"ssh_port", c.Comm.SSHPort}, {"ssh_bastion_port", c.Comm.SSHBastionPort}, {"ssh_proxy_port", c.Comm.SSHProxyPort},
		{"session_manager_port", c.SessionManagerPort},
	} {
		if port.value < 0 || port.value > 65535 {
			errs = append(errs, fmt.Errorf("%s: got %d, want a port from 1 to 65535", port.attribute, port.value))
		}
	}
	for _, duration := range []struct {
		attribute string
		value     time.Duration
	}{
		{"ssh_timeout", c.Comm.SSHTimeout}, {"ssh_wait_timeout", c.Comm.SSHWaitTimeout}, {"ssh_read_write_timeout", c.Comm.SSHReadWriteTimeout},
		{"pause_before_connecting", c.Comm.PauseBeforeConnect}, {"pause_before_ssm", c.PauseBeforeSSM},
	} {
		if duration.value < 0 {
			errs = append(errs, fmt.Errorf("%s: got %s, want a duration of 0 or more, such as \"5m\"", duration.attribute, duration.value))
		}
	}
	return errs
}
