// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package remote

import (
	"io"
	"strings"
	"sync"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// Answer is the parsed output of a script. A line "@fact KEY VALUE" adds a fact.
// "@ok" marks success: without it a lost connection could look like exit code 0.
// "@fail TEXT" is the reason of a failure, "@remedy TEXT" its remedy.
type Answer struct {
	mu     sync.Mutex
	facts  map[string][]string
	ok     bool
	fail   []string
	remedy []string
}

func (a *Answer) read(line string) (protocol bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "@ok":
		a.ok = true
	case "@fact":
		key, value, _ := strings.Cut(rest, " ")
		a.facts[key] = append(a.facts[key], strings.TrimSpace(value))
	case "@fail":
		a.fail = append(a.fail, rest)
	case "@remedy":
		a.remedy = append(a.remedy, rest)
	default:
		return false
	}
	return true
}

// Fact returns the last value of a key, or "".
func (a *Answer) Fact(key string) string {
	if values := a.facts[key]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// Facts returns all values of a key.
func (a *Answer) Facts(key string) []string { return a.facts[key] }

// ScriptError is the error of a script that failed or was interrupted.
type ScriptError struct {
	Reason, remedy string
	Last           string // last line of the output, if it adds information
	Log            string // local file with the output, or ""
	Lost           bool   // the connection was lost
}

func (e *ScriptError) Error() string {
	text := e.Reason
	if e.Last != "" {
		text += " (" + e.Last + ")"
	}
	if e.remedy != "" {
		text += "; " + e.remedy
	}
	if e.Log != "" {
		text += "; the full output is in " + e.Log
	}
	return text
}

func readAnswer(text string) *Answer {
	a := &Answer{facts: map[string][]string{}}
	lines := miner.Lines{Each: func(line string) { a.read(line) }}
	_, _ = io.WriteString(&lines, text)
	lines.Flush()
	return a
}
