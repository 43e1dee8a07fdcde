// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

// services is the thin stand-in for the service manager.
type services struct{ family *family }

func newServices(f *family) *services { return &services{f} }
func (s *services) startEnabled()     {}
func (s *services) stopAll()          {}

func (p *firstProcess) systemctl(args []string, root bool) (result, func()) {
	if len(args) > 0 {
		switch args[0] {
		case "reboot", "poweroff", "halt":
			return p.power(args[0] == "reboot", root)
		case "daemon-reload":
			return result{}, nil
		}
	}
	return refuse("%q", args), nil
}
