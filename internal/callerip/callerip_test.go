// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package callerip_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/callerip"
)

func TestAsk(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		answer string
		want   string
		err    string
	}{
		{"an address", 200, "198.51.100.7\n", "198.51.100.7", ""},
		{"an IPv6 address", 200, "2001:db8::7", "2001:db8::7", ""},
		{"an IPv4-mapped IPv6 address", 200, "::ffff:198.51.100.7", "198.51.100.7", ""},
		{"the unspecified address", 200, "0.0.0.0", "", `returned "0.0.0.0", want an address`},
		{"a captive portal's page", 200, "<html>" + strings.Repeat("log in ", 100), "", `returned "<html>log in`},
		{"an unavailable service", 503, "", "", "returned 503"},
	} {
		t.Run(test.name, func(t *testing.T) {
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.answer))
			}))
			defer service.Close()
			got, err := callerip.Ask(t.Context(), service.URL)
			if test.err == "" && (err != nil || got.String() != test.want) {
				t.Errorf("got %v, %v, want %s", got, err, test.want)
			}
			if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(err.Error(), service.URL) || len(err.Error()) > 400) {
				t.Errorf("got error %v, want %q", err, test.err)
			}
		})
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if _, err := callerip.Ask(t.Context(), gone.URL); err == nil || !strings.Contains(err.Error(), gone.URL) {
		t.Errorf("got error %v, want one that names %s", err, gone.URL)
	}
}
