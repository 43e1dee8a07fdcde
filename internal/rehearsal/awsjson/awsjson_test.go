// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsjson

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

func TestRequest(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       query.Params
		code       string // error code
	}{
		{"empty", `{}`, query.Params{}, ""},
		{"names as in the query protocol", `{"A": "x", "L": [{"F": "y"}, {"F": "z"}], "N": 100, "B": true, "Null": null}`,
			query.Params{"A": "x", "L.1.F": "y", "L.2.F": "z", "N": "100", "B": "true"}, ""},
		{"number keeps its digits", `{"N": 12345678901234567890}`, query.Params{"N": "12345678901234567890"}, ""},
		{"not an object", `[]`, nil, "SerializationException"},
		{"nothing", ``, nil, "SerializationException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequest(http.MethodPost, "/", strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set(TargetHeader, "ServiceQuotasV20190624.ListServiceQuotas")
			action, p, err := Protocol{}.Request(r)
			if action != "ListServiceQuotas" {
				t.Errorf("got action %q", action)
			}
			known := new(query.Error)
			if errors.As(err, &known); known.Code != test.code || test.code == "" && err != nil {
				t.Fatalf("got error %v, want code %q", err, test.code)
			}
			if !maps.Equal(p, test.want) {
				t.Errorf("got parameters %v, want %v", p, test.want)
			}
		})
	}
}
