// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Stat is the response of the miner's API to miner_getstat1 or miner_getstatdetail, one
// JSON-RPC object per line over TCP.
type Stat struct {
	// Rate is the total rate, Devices are the devices' rates in the API's order.
	Rate    Rate
	Devices []Rate
	// Step is the resolution of the rates: getstat1 returns whole kH/s.
	Step Rate
	// Accepted and Rejected count shares.
	Accepted, Rejected uint64
}

// detailWraps is the rate in hashes per second at which getstatdetail wraps to 0: the
// 0.19 family casts it to 32 bits.
const detailWraps = 1 << 32

// BestStat parses responses, one per line in any order, and returns the most detailed
// one. It skips invalid lines; if all are invalid, it returns the last error.
func BestStat(lines ...string) (Stat, error) {
	var best Stat
	err := errors.New("the API returned nothing")
	found, wraps := false, false
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		s, bad := ParseStat([]byte(line))
		if bad != nil {
			err = bad
			continue
		}
		wraps = wraps || s.Rate >= detailWraps
		if !found || s.Step < best.Step && !wraps || s.Rate >= detailWraps {
			best, found = s, true
		}
	}
	if !found {
		return Stat{}, err
	}
	return best, nil
}

// ParseStat parses a response of either call: getstat1 has the same format in all
// versions, getstatdetail is nested in the 0.19 family and flat before.
func ParseStat(line []byte) (Stat, error) {
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	switch err := json.Unmarshal(line, &answer); {
	case err != nil:
		return Stat{}, fmt.Errorf("reading the miner's API: %w", err)
	case answer.Error != nil:
		return Stat{}, fmt.Errorf("the miner's API returned %q", answer.Error.Message)
	case len(answer.Result) == 0:
		return Stat{}, errors.New("the miner's API returned no result")
	case answer.Result[0] == '[':
		return parseStat1(answer.Result)
	}
	return parseDetail(answer.Result)
}

// parseStat1 parses [version, minutes, "kH/s;shares;rejected", "kH/s;kH/s", ...].
func parseStat1(result []byte) (Stat, error) {
	var words []string
	if err := json.Unmarshal(result, &words); err != nil || len(words) < 4 {
		return Stat{}, fmt.Errorf("miner_getstat1 returned %.80s; expected a list of at least 4 strings", result)
	}
	s := Stat{Step: 1000}
	totals := strings.Split(words[2], ";")
	rate, err := strconv.ParseUint(totals[0], 10, 64)
	if err != nil || len(totals) < 3 {
		return Stat{}, fmt.Errorf("miner_getstat1 returned %q; expected \"kH/s;shares;rejected\"", words[2])
	}
	s.Rate = Rate(rate) * s.Step
	s.Accepted, _ = strconv.ParseUint(totals[1], 10, 64)
	s.Rejected, _ = strconv.ParseUint(totals[2], 10, 64)
	for word := range strings.SplitSeq(words[3], ";") {
		if rate, err := strconv.ParseUint(word, 10, 64); err == nil { // the API prints "off" for a device that is off
			s.Devices = append(s.Devices, Rate(rate)*s.Step)
		}
	}
	return s, nil
}

// quantity is a number, or a string with one, decimal or hexadecimal.
type quantity float64

func (q *quantity) UnmarshalJSON(text []byte) error {
	word := strings.Trim(string(text), `"`)
	if digits, hex := strings.CutPrefix(word, "0x"); hex {
		n, err := strconv.ParseUint(digits, 16, 64)
		*q = quantity(n)
		return err
	}
	n, err := strconv.ParseFloat(word, 64)
	*q = quantity(n)
	return err
}

// parseDetail parses either format of getstatdetail.
func parseDetail(result []byte) (Stat, error) {
	var d struct {
		Hashrate *quantity // flat
		GPUs     []struct{ Hashrate quantity }
		Shares   struct{ Accepted, Rejected quantity }
		Mining   *struct { // nested
			Hashrate quantity
			Shares   []quantity // accepted, rejected, failed, seconds since the last
		}
		Devices []struct{ Mining struct{ Hashrate quantity } }
	}
	if err := json.Unmarshal(result, &d); err != nil || d.Hashrate == nil && d.Mining == nil {
		return Stat{}, fmt.Errorf("miner_getstatdetail returned %.80s; expected a hash rate in it", result)
	}
	s := Stat{Step: 1}
	if d.Mining != nil {
		s.Rate = Rate(d.Mining.Hashrate)
		if len(d.Mining.Shares) > 1 {
			s.Accepted, s.Rejected = uint64(d.Mining.Shares[0]), uint64(d.Mining.Shares[1])
		}
		for _, device := range d.Devices {
			s.Devices = append(s.Devices, Rate(device.Mining.Hashrate))
		}
		return s, nil
	}
	s.Rate, s.Accepted, s.Rejected = Rate(*d.Hashrate), uint64(d.Shares.Accepted), uint64(d.Shares.Rejected)
	for _, gpu := range d.GPUs {
		s.Devices = append(s.Devices, Rate(gpu.Hashrate))
	}
	return s, nil
}
