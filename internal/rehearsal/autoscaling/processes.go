// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package autoscaling

import (
	"slices"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// processes are the processes that can be suspended. Of these, Launch, Terminate,
// HealthCheck and ReplaceUnhealthy have an effect in the rehearsal.
var processes = []string{
	"Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions",
}

type suspension struct {
	Process string `xml:"ProcessName"`
	Reason  string `xml:"SuspensionReason"`
}

// suspends reports whether a process is suspended.
func (g *group) suspends(process string) bool {
	return slices.ContainsFunc(g.Suspended.Items, func(v suspension) bool { return v.Process == process })
}

// suspend sets the suspended processes.
func (g *group) suspend(list []string) {
	g.Suspended.Items = nil
	for _, process := range processes {
		if slices.Contains(list, process) {
			g.Suspended.Items = append(g.Suspended.Items, suspension{process, "User suspended at the request of a client"})
		}
	}
}

// requestedProcesses returns the processes of a request, all without a list.
func (c *call) requestedProcesses() ([]string, error) {
	list := c.p.List("ScalingProcesses")
	for _, process := range list {
		if !slices.Contains(processes, process) {
			return nil, invalid("%s is not a valid process type", process)
		}
	}
	if len(list) == 0 {
		return processes, nil
	}
	return list, nil
}

func suspendProcesses(c *call) (any, error) {
	return c.setProcesses(func(now, list []string) []string { return append(now, list...) })
}

func resumeProcesses(c *call) (any, error) {
	return c.setProcesses(func(now, list []string) []string {
		return slices.DeleteFunc(now, func(process string) bool { return slices.Contains(list, process) })
	})
}

func (c *call) setProcesses(set func(now, list []string) []string) (any, error) {
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	list, err := c.requestedProcesses()
	if err != nil {
		return nil, err
	}
	var now []string
	for _, v := range g.Suspended.Items {
		now = append(now, v.Process)
	}
	g.suspend(set(now, list))
	return query.Raw{}, nil
}
