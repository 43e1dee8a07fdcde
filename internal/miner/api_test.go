// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"reflect"
	"strings"
	"testing"
)

const (
	stat1  = `{"id":1,"jsonrpc":"2.0","result":["ethminer-0.19.0","5","50123;7;1","25061;25062","0;0;0","off;off","62;30;57;49","localhost:0","0;0;0;0"]}`
	nested = `{"id":2,"jsonrpc":"2.0","result":{"connection":{"connected":true},"devices":[{"_index":0,"mining":{"hashrate":"0x017e6a10"}},{"_index":1,"mining":{"hashrate":"0x017e6e00"}}],"host":{"name":"x"},"mining":{"hashrate":"0x02fcd810","shares":[7,1,0,12]},"monitors":null}}`
	flat   = `{"id":3,"jsonrpc":"2.0","result":{"difficulty":3999938964.0,"epoch":218,"gpus":[{"hashrate":23604564,"index":0},{"hashrate":23104564,"index":1}],"hashrate":46709128,"shares":{"accepted":7,"acceptedstale":0,"failed":0,"rejected":1},"version":"ethminer-0.16.0"}}`
)

func TestParseStat(t *testing.T) {
	for _, test := range []struct {
		name, line string
		want       Stat
	}{
		{"getstat1", stat1, Stat{Rate: 50_123_000, Devices: []Rate{25_061_000, 25_062_000}, Step: 1000, Accepted: 7, Rejected: 1}},
		{"getstatdetail of 0.19", nested, Stat{Rate: 0x02fcd810, Devices: []Rate{0x017e6a10, 0x017e6e00}, Step: 1, Accepted: 7, Rejected: 1}},
		{"getstatdetail before", flat, Stat{Rate: 46_709_128, Devices: []Rate{23_604_564, 23_104_564}, Step: 1, Accepted: 7, Rejected: 1}},
		{"a device that is off", strings.Replace(stat1, "25061;25062", "25061;off", 1), Stat{Rate: 50_123_000, Devices: []Rate{25_061_000}, Step: 1000, Accepted: 7, Rejected: 1}},
	} {
		got, err := ParseStat([]byte(test.line))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v; expected %+v", test.name, got, err, test.want)
		}
	}
	for _, test := range []struct{ line, want string }{
		{`{"id":1,"error":{"code":-32601,"message":"Method not found"}}`, "Method not found"},
		{`{"id":1}`, "returned no result"},
		{`{"result":["a"]}`, "expected a list"},
		{`{"result":["a","b","fast;1;2","1"]}`, `"fast;1;2"`},
		{`{"result":{"uptime":1}}`, "expected a hash rate"},
		{`{"result":{"mining":{"hashrate":"0xzz"}}}`, "expected a hash rate"},
		{`HTTP/1.1 400`, "reading the miner's API"},
	} {
		if _, err := ParseStat([]byte(test.line)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.line, err, test.want)
		}
	}
}

func TestBestStat(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		want  Rate
	}{
		{"the more precise of two", []string{stat1, nested}, 0x02fcd810},
		{"in any order", []string{nested, stat1}, 0x02fcd810},
		{"invalid lines are ignored", []string{"", `{"error":{"message":"no"}}`, stat1}, 50_123_000},
		// 5 GH/s are 0x2a05f200 in 32 bits.
		{"the precise one has wrapped around", []string{strings.Replace(nested, "0x02fcd810", "0x2a05f200", 1), strings.Replace(stat1, "50123;", "5000000;", 1)}, 5e9},
		{"in any order", []string{strings.Replace(stat1, "50123;", "5000000;", 1), strings.Replace(nested, "0x02fcd810", "0x2a05f200", 1)}, 5e9},
	} {
		if got, err := BestStat(test.lines...); err != nil || got.Rate != test.want {
			t.Errorf("%s: %v, %v; expected %v", test.name, got.Rate, err, test.want)
		}
	}
	if _, err := BestStat("", ""); err == nil {
		t.Error("got no error for an empty response")
	}
}

// FuzzParseStat: parsing any response must not panic.
func FuzzParseStat(f *testing.F) {
	for _, line := range []string{stat1, nested, flat, "{}", `{"result":[]}`} {
		f.Add(line)
	}
	f.Fuzz(func(_ *testing.T, line string) { _, _ = BestStat(line, line) })
}
