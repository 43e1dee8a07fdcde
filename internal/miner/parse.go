// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is the kind of a line of the miner's output.
type Kind int

// Kinds of lines.
const (
	// Other is any other line.
	Other Kind = iota
	// KindStatus is a statistics line with a farm rate.
	KindStatus
	// KindAccepted, KindStale and KindRejected are responses of a pool or the
	// simulation to a solution.
	KindAccepted
	KindStale
	KindRejected
	// KindIncorrect is a GPU's solution that the CPU could not confirm.
	KindIncorrect
	// KindDAG reports that a device has generated its DAG.
	KindDAG
	// KindFailure reports why a device cannot mine.
	KindFailure
	// KindAPI is logged for each API request.
	KindAPI
)

// Line is a parsed line of output.
type Line struct {
	Kind Kind
	// Status is set for KindStatus.
	Status Status
	// Took is the time of the DAG generation, for KindDAG.
	Took time.Duration
	// Text is the line without colors and surrounding blanks.
	Text string
}

// Status is a statistics line.
type Status struct {
	// Run is the miner's run time in whole minutes; 0 if not stated.
	Run time.Duration
	// Rate is the rate of all devices together.
	Rate Rate
	// Counters since the start: accepted, wasted (or stale), rejected, failed.
	Accepted, Wasted, Rejected, Failed uint64
	// Devices lists the devices of the line in order.
	Devices []Device
}

// Device is one device of a statistics line.
type Device struct {
	// Name is the printed name: cu0, cl1, cp0, gpu0, gpu/0.
	Name string
	Rate Rate
	// TempC is in degrees Celsius, FanPercent in percent, PowerW in watts; 0 if not
	// stated.
	TempC, FanPercent, PowerW float64
}

// failures are parts of lines that report a device failure, by the versions that print
// them. They are compared in lower case.
var failures = [...]string{
	// 0.18 and 0.19
	"mining suspended",
	"cuda error",
	"opencl error",
	"no usable mining devices found",
	"hasn't enough memory",
	"out of memory on cuda device",
	// 0.12 to 0.17
	"error cuda mining",
	"error opencl mining",
	"gpu error",
	"insufficient gpu memory",
	"insufficient cuda driver",
	"no cuda driver found",
	"opencl init failed",
	"no opencl platforms found",
	"dag buffer failed",
	"light buffer failed",
	// 0.9 to 0.12
	"gpu device with sufficient memory was found",
	"no gpu device",
}

// chatter are parts of lines that the API logs for each request.
var chatter = [...]string{"API : Method", "API session"}

// ParseLine parses a line in any of ethminer's formats: 0.19's
// "m 16:39:20 ethminer 0:00 A0 0.00 h - cu0 0.00", and the older
// "... Speed 25.25 Mh/s gpu0 25.25 [A90+6] Time: 13:58". It ignores colors. A
// truncated or interleaved line is Other unless its rate and unit are complete.
func ParseLine(raw string) Line {
	text := strings.TrimSpace(StripANSI(raw))
	line := Line{Text: text}
	if status, ok := parseStatus(text); ok {
		line.Kind, line.Status = KindStatus, status
		return line
	}
	switch {
	case strings.Contains(text, "**Accepted stale"):
		line.Kind = KindStale
	case strings.Contains(text, "**Accepted"):
		line.Kind = KindAccepted
	case strings.Contains(text, "**Rejected"):
		line.Kind = KindRejected
	case strings.Contains(text, "gave incorrect result"):
		line.Kind = KindIncorrect
	case strings.Contains(text, "DAG") && strings.Contains(text, "enerated "):
		if took, ok := parseTook(text); ok {
			line.Kind, line.Took = KindDAG, took
		}
	case slices.ContainsFunc(chatter[:], func(part string) bool { return strings.Contains(text, part) }):
		line.Kind = KindAPI
	default:
		lower := strings.ToLower(text)
		for _, part := range failures {
			if strings.Contains(lower, part) {
				line.Kind = KindFailure
				break
			}
		}
	}
	return line
}

// parseTook parses the time of a DAG generation in all known formats:
// "Generated DAG + Light in 23,024 ms. 6.43 GB left.", "2.27GB of DAG data
// generated in 3885 ms." and "Generated DAG (13862 ms) + Light (231 ms) in 14094
// ms. (...)". The value is in whole milliseconds: separators are for grouping only.
func parseTook(text string) (time.Duration, bool) {
	_, after, _ := strings.Cut(text, " in ")
	number, _, ok := strings.Cut(after, " ms")
	if !ok {
		return 0, false
	}
	ms, err := strconv.ParseUint(strings.NewReplacer(",", "", ".", "").Replace(number), 10, 32)
	return time.Duration(ms) * time.Millisecond, err == nil && ms < maxTook
}

// maxTook is a day in milliseconds: a longer time is a truncated line.
const maxTook = 24 * 60 * 60 * 1000

// parseStatus distinguishes the formats by the token before the rate.
func parseStatus(text string) (Status, bool) {
	// Every format starts with channel m; this skips most lines cheaply.
	if len(text) < 2 || text[0] != 'm' || text[1] != ' ' {
		return Status{}, false
	}
	words := strings.Fields(text)
	for i, word := range words {
		if word == "Speed" {
			return parseSpeed(words[i+1:])
		}
		if len(word) > 1 && word[0] == 'A' && isDigit(word[1]) {
			return parseFarm(words[:i], words[i:])
		}
	}
	return Status{}, false
}

// parseFarm parses 0.19's format: [run time] A0:W0:R0:F0 RATE UNIT - DEVICES.
func parseFarm(before, words []string) (Status, bool) {
	if len(words) < 3 {
		return Status{}, false
	}
	var s Status
	if !s.counters(words[0]) {
		return Status{}, false
	}
	rate, ok := rateWords(words[1], words[2])
	if !ok {
		return Status{}, false
	}
	s.Rate = rate.value
	if len(before) > 0 {
		s.Run = runTime(before[len(before)-1])
	}
	if len(words) > 3 && words[3] == "-" {
		s.devices(words[4:], rate.scale)
	}
	return s, true
}

// parseSpeed parses the older format: RATE UNIT DEVICES [A0+0:R0+0:F0] Time: 0:00.
func parseSpeed(words []string) (Status, bool) {
	if len(words) < 2 {
		return Status{}, false
	}
	var s Status
	rate, ok := rateWords(words[0], words[1])
	if !ok {
		return Status{}, false
	}
	s.Rate = rate.value
	rest := words[2:]
	s.devices(rest, rate.scale)
	for i, word := range rest {
		if strings.HasPrefix(word, "[A") {
			s.counters(strings.Trim(word, "[]"))
		}
		if word == "Time:" && i+1 < len(rest) {
			s.Run = runTime(rest[i+1])
		}
	}
	return s, true
}

// counters parses A12:W1:R2:F3, in which all but A may be missing, and the older
// A203+3:R0+0:F0, in which +N counts stale solutions.
func (s *Status) counters(word string) bool {
	for part := range strings.SplitSeq(word, ":") {
		if len(part) < 2 {
			return false
		}
		count, stale, _ := strings.Cut(part[1:], "+")
		n, err := strconv.ParseUint(count, 10, 64)
		if err != nil {
			return false
		}
		switch part[0] {
		case 'A':
			s.Accepted = n
			if more, err := strconv.ParseUint(stale, 10, 64); err == nil {
				s.Wasted += more
			}
		case 'W':
			s.Wasted = n
		case 'R':
			s.Rejected = n
		case 'F':
			s.Failed = n
		default:
			return false
		}
	}
	return true
}

// devices parses "cu0 25.25 62C 30% 188.24W, cu1 ..." up to the first unknown word; the
// rates are in the farm's unit.
func (s *Status) devices(words []string, scale float64) {
	for i := 0; i+1 < len(words); {
		name := words[i]
		if !isDeviceName(name) {
			return
		}
		number, last := strings.CutSuffix(words[i+1], ",")
		value, ok := parseNumber(number)
		if !ok {
			return
		}
		device := Device{Name: name, Rate: Rate(value * scale)}
		i += 2
		for !last && i < len(words) && device.sensor(words[i]) {
			last = strings.HasSuffix(words[i], ",")
			i++
		}
		s.Devices = append(s.Devices, device)
	}
}

// sensor parses one of 62C, 30%, 188.24W.
func (d *Device) sensor(word string) bool {
	word = strings.TrimSuffix(word, ",")
	if len(word) < 2 {
		return false
	}
	value, ok := parseNumber(word[:len(word)-1])
	if !ok {
		return false
	}
	switch word[len(word)-1] {
	case 'C':
		d.TempC = value
	case '%':
		d.FanPercent = value
	case 'W':
		d.PowerW = value
	default:
		return false
	}
	return true
}

// isDeviceName matches cu0, cl12, cp0, gpu0, gpu/0.
func isDeviceName(word string) bool {
	for _, prefix := range [...]string{"cu", "cl", "cp", "gpu/", "gpu"} {
		if rest, ok := strings.CutPrefix(word, prefix); ok && rest != "" {
			_, err := strconv.ParseUint(rest, 10, 16)
			return err == nil
		}
	}
	return false
}

// scaled is a rate with the scale of its unit.
type scaled struct {
	value Rate
	scale float64
}

func rateWords(number, unit string) (scaled, bool) {
	value, ok := parseNumber(number)
	if !ok {
		return scaled{}, false
	}
	scale, ok := unitScale(unit)
	return scaled{Rate(value * scale), scale}, ok
}

// maxNumber limits rates and sensor values: interleaved lines can join digits to
// implausible numbers.
const maxNumber = 1e12

// parseNumber parses digits with an optional fraction, with or without grouping: the
// last of "." and "," is the decimal separator, except that a single comma before
// exactly three digits groups ("23,024").
func parseNumber(word string) (float64, bool) {
	if word == "" {
		return 0, false
	}
	for i := range len(word) {
		if !isDigit(word[i]) && word[i] != '.' && word[i] != ',' {
			return 0, false
		}
	}
	if strings.IndexByte(word, ',') >= 0 {
		word = ungroup(word)
	}
	value, err := strconv.ParseFloat(word, 64)
	return value, err == nil && value < maxNumber
}

func ungroup(word string) string {
	comma, point := strings.LastIndexByte(word, ','), strings.LastIndexByte(word, '.')
	if point > comma || point < 0 && len(word)-comma-1 == 3 {
		return strings.ReplaceAll(word, ",", "")
	}
	word = strings.ReplaceAll(word, ".", "")
	comma = strings.LastIndexByte(word, ',')
	return strings.ReplaceAll(word[:comma], ",", "") + "." + word[comma+1:]
}

// runTime parses h:mm; anything else is 0.
func runTime(word string) time.Duration {
	h, m, ok := strings.Cut(word, ":")
	hours, err1 := strconv.ParseUint(h, 10, 16)
	minutes, err2 := strconv.ParseUint(m, 10, 8)
	if !ok || err1 != nil || err2 != nil {
		return 0
	}
	return time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// StripANSI removes terminal control sequences (ESC [ ... letter) and control
// characters except tabs.
func StripANSI(text string) string {
	if strings.IndexFunc(text, isControl) < 0 {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == 0x1b && i+1 < len(text) && text[i+1] == '[':
			for i += 2; i < len(text) && (text[i] < 0x40 || text[i] > 0x7e); i++ {
			}
		case isControl(rune(c)):
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isControl(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f }
