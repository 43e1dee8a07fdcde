// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// The name server itself answers for names that no server knows.
func TestUnknownNames(t *testing.T) {
	for name, want := range map[string]bool{
		"deb.debian.org.": false, "example.com.": false, "invalid.example.org.": false,
		"localname.": true, "example.invalid.": true, "does-not-exist.Example.com.": true,
	} {
		m := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
			Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
		}
		question, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		reply := unknown(question)
		if (reply != nil) != want {
			t.Errorf("%s: answered %v, want %v", name, reply != nil, want)
		}
		if reply == nil {
			continue
		}
		var got dnsmessage.Message
		if err := got.Unpack(reply); err != nil || got.ID != 7 || !got.Response || got.RCode != dnsmessage.RCodeNameError {
			t.Errorf("%s: got %+v (%v)", name, got.Header, err)
		}
	}
	if unknown([]byte("no question")) != nil {
		t.Error("answered what is no question")
	}
}
