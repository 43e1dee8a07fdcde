// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ssm

import (
	"net"
	"strconv"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// forwarding is the document that forwards a port, the only supported one.
const forwarding = "AWS-StartPortForwardingSession"

// startSession opens a tunnel to a port of an instance whose agent is connected.
func (c *call) startSession() (any, error) {
	target := c.p.Get("Target")
	if target == "" {
		return nil, query.Errorf("ValidationException", "1 validation error detected: Value at 'target' failed to satisfy constraint: Member must not be null")
	}
	if document := c.p.Get("DocumentName"); document != forwarding {
		return nil, query.Errorf("InvalidDocument", "Document with name %s does not exist; the rehearsal supports only %s.", document, forwarding)
	}
	for _, name := range []string{"portNumber", "localPortNumber"} {
		text := c.p.Get("Parameters." + name + ".1")
		if n, err := strconv.Atoi(text); text != "" && (err != nil || n < 0 || n > 65535) {
			return nil, query.Errorf("InvalidParameters", "The value %s of the parameter %s is not a port.", text, name)
		}
	}
	address, connected := c.s.Agent(c.region, target)
	if !connected {
		return nil, query.Errorf("TargetNotConnected", "%s is not connected.", target)
	}
	id, url, token := c.s.Sessions.Start(net.JoinHostPort(address, c.p.Or("Parameters.portNumber.1", "80")))
	return struct{ SessionId, StreamUrl, TokenValue string }{id, url, token}, nil //nolint:revive // names of the API
}

func (c *call) terminateSession() (any, error) {
	id := c.p.Get("SessionId")
	c.s.Sessions.End(id)
	return struct{ SessionId string }{id}, nil //nolint:revive // names of the API
}
