// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package instanceconnect simulates EC2 Instance Connect in a rehearsal.
package instanceconnect

import (
	"golang.org/x/crypto/ssh"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Service pushes keys to instances.
type Service struct {
	// Push lets a key log in to a running instance for a minute. It returns an error of
	// EC2 Instance Connect.
	Push func(region, instance, zone, user, key string) error
}

// sendResponse is the response to SendSSHPublicKey
// (https://docs.aws.amazon.com/ec2-instance-connect/latest/APIReference/API_SendSSHPublicKey.html).
type sendResponse struct {
	RequestID string `json:"RequestId"`
	Success   bool
}

// Call serves a request.
func (s Service) Call(region, action string, p query.Params) (any, error) {
	if action != "SendSSHPublicKey" {
		return nil, &query.Error{Code: "InvalidAction", Message: "The rehearsal does not support " + action + " of EC2 Instance Connect.", Status: 501}
	}
	for _, name := range []string{"InstanceId", "InstanceOSUser", "SSHPublicKey"} {
		if p.Get(name) == "" {
			return nil, query.Errorf("InvalidArgsException", "%s is required.", name)
		}
	}
	if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(p.Get("SSHPublicKey"))); err != nil {
		return nil, query.Errorf("InvalidArgsException", "Invalid SSH public key: %v", err)
	}
	if err := s.Push(region, p.Get("InstanceId"), p.Get("AvailabilityZone"), p.Get("InstanceOSUser"), p.Get("SSHPublicKey")); err != nil {
		return nil, err
	}
	return sendResponse{RequestID: "00000000-0000-4000-a000-000000000000", Success: true}, nil
}
