// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is the address of the name service in every instance, as in every VPC
// (https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html).
const nameServer = "169.254.169.253"

// askTimeout is glibc's time for an answer (resolv.conf(5)).
const askTimeout = 5 * time.Second

// serveNames answers a machine's questions with the answers of the host's name servers,
// until close. A server on the host's loopback is reached from the host only.
func (n *network) serveNames() error {
	return n.inside(func() (err error) {
		if n.names, err = net.ListenPacket("udp4", nameServer+":53"); err != nil {
			return err
		}
		go func() {
			question := make([]byte, 64<<10)
			for {
				size, from, err := n.names.ReadFrom(question)
				if err != nil {
					return // closed
				}
				go answer(n.names, from, append([]byte(nil), question[:size]...))
			}
		}()
		return nil
	})
}

// answer answers a question.
func answer(c net.PacketConn, from net.Addr, question []byte) {
	reply := unknown(question)
	for _, server := range hostNameServers() {
		if reply != nil {
			break
		}
		reply = ask(server, question)
	}
	if reply != nil {
		_, _ = c.WriteTo(reply, from) // the machine may have ended
	}
}

// unknown returns the reply that a name does not exist, for names that no server knows:
// those of one word, and those that RFC 6761 reserves. cloud-init asks for such names to
// find servers that know every name. For others, it returns nil.
func unknown(question []byte) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(question)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	if strings.Contains(name, ".") && !strings.HasSuffix(name, ".invalid") && !strings.HasSuffix(name, ".example.com") {
		return nil
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true, RCode: dnsmessage.RCodeNameError},
		Questions: []dnsmessage.Question{q},
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}

// ask returns the reply of a name server, or nil.
func ask(server string, question []byte) []byte {
	c, err := net.Dial("udp", net.JoinHostPort(server, "53"))
	if err != nil {
		return nil
	}
	defer func() { _ = c.Close() }()
	if c.SetDeadline(time.Now().Add(askTimeout)) != nil {
		return nil
	}
	if _, err := c.Write(question); err != nil {
		return nil
	}
	reply := make([]byte, 64<<10)
	size, err := c.Read(reply)
	if err != nil {
		return nil
	}
	return reply[:size]
}

// hostNameServers returns the host's name servers.
func hostNameServers() []string {
	var servers []string
	for _, f := range fieldsOf("/etc/resolv.conf") {
		if len(f) > 1 && f[0] == "nameserver" {
			servers = append(servers, f[1])
		}
	}
	return servers
}

// writeResolver lets the root of a machine use the name service.
func writeResolver(root string) error {
	const name = "/etc/resolv.conf"
	if err := os.MkdirAll(root+"/etc", 0o755); err != nil {
		return err
	}
	return os.WriteFile(root+name, []byte("nameserver "+nameServer+"\n"), 0o644)
}
