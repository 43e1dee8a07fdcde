// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"io"
	"strings"
	"sync"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// answer is what a script has said. A line "@fact KEY VALUE" on its standard
// output adds a fact; "@ok" must be there for the script to have succeeded,
// since a lost connection can look like exit code 0; "@fail TEXT" is the reason
// of a failure and "@remedy TEXT" what to do.
type answer struct {
	mu     sync.Mutex
	facts  map[string][]string
	ok     bool
	fail   []string
	remedy []string
}

func (a *answer) read(line string) (protocol bool) {
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

// fact is the last value of a key, or "".
func (a *answer) fact(key string) string {
	if values := a.facts[key]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// errScript is how a script failed, or that it was cut off.
type errScript struct {
	reason, remedy string
	last           string // line of the output, if it says more
	log            string // local file with the output, "" when there is none
	lost           bool   // it was the connection that ended
}

func (e *errScript) Error() string {
	text := e.reason
	if e.last != "" {
		text += " (" + e.last + ")"
	}
	if e.remedy != "" {
		text += "; " + e.remedy
	}
	if e.log != "" {
		text += "; the whole output is in " + e.log
	}
	return text
}

func readAnswer(text string) *answer {
	a := &answer{facts: map[string][]string{}}
	lines := miner.Lines{Each: func(line string) { a.read(line) }}
	_, _ = io.WriteString(&lines, text)
	lines.Flush()
	return a
}
