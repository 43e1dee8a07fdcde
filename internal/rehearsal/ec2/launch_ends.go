// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"cmp"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// EC2 accepts a launch before it has capacity, volumes and keys for it. If one of
// them is missing, the instance never runs, and its state reason has the cause:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html

// LaunchEnd is the injected end of accepted launches.
type LaunchEnd struct {
	Code    string            // of the state reason
	Message string            // EC2's by default
	Where   map[string]string // only launches with these parameters
	Times   int               // how many launches, 0 for all
}

// launchError is why an accepted launch ends before the instance runs.
type launchError stateReason

func (e *launchError) Error() string { return e.Message }

// launchReasons are EC2's messages.
var launchReasons = map[string]string{
	"Server.InsufficientInstanceCapacity": "Insufficient capacity to satisfy instance request",
	"Server.InternalError":                "Internal error on launch",
	"Server.SpotInstanceTermination":      "Spot instance termination",
	"Client.InternalError":                "Client error on launch",
	"Client.InvalidSnapshot.NotFound":     "The snapshot does not exist",
	"Client.VolumeLimitExceeded":          "Volume limit exceeded",
}

func newLaunchError(code, message string) *launchError {
	return &launchError{code, cmp.Or(message, code+": "+launchReasons[code])}
}

// EndLaunches makes later launches in a region end before the instance runs.
func (s *Service) EndLaunches(region string, end LaunchEnd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if end.Times == 0 {
		end.Times = -1
	}
	s.launchEnds[region] = append(s.launchEnds[region], &end)
}

// endOfLaunch returns why a launch that begins now is to end; nil for a good one.
func (c *call) endOfLaunch(p query.Params) *launchError {
	for _, end := range c.s.launchEnds[c.r.Name] {
		if end.Times != 0 && end.matches(p) {
			end.Times--
			return newLaunchError(end.Code, end.Message)
		}
	}
	return nil
}

func (e *LaunchEnd) matches(p query.Params) bool {
	for name, value := range e.Where {
		if p.Get(name) != value {
			return false
		}
	}
	return true
}
