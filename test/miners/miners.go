// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package miners contains programs that each imitate the behavior of a real miner, in
// most cases a failure. Comments at the top of each program define the test:
//
//	# gpus: 4                       number of GPUs of the machine; without it, a CPU
//	# option: max_variation = 0.1   an option of the provisioner
//	# fails: cu2 mined nothing      a part of the expected error
//	# says: hash rate: 5.00 h/s     a part of the expected output of a passing miner
package miners

import (
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

//go:embed *.sh
var files embed.FS

// Miner is one of the programs.
type Miner struct {
	// Name is the file name without .sh.
	Name   string
	Script string
	GPUs   int
	// Options maps option names to strings or numbers.
	Options map[string]any
	// Fails are parts of the expected error, Says parts of the expected output; a
	// miner has exactly one of the two.
	Fails, Says []string
}

// All returns the programs, sorted by name. Its error names the invalid file.
func All() ([]Miner, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var all []Miner
	for _, entry := range entries {
		script, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, err
		}
		m := Miner{Name: strings.TrimSuffix(entry.Name(), ".sh"), Script: string(script), Options: map[string]any{}}
		for line := range strings.Lines(m.Script) {
			if !strings.HasPrefix(line, "#") {
				break // the head is over
			}
			if err := m.read(strings.TrimSpace(line)); err != nil {
				return nil, fmt.Errorf("%s: %q: %w", entry.Name(), strings.TrimSpace(line), err)
			}
		}
		if (len(m.Fails) == 0) == (len(m.Says) == 0) {
			return nil, fmt.Errorf("%s: expected either fails or says in its head", entry.Name())
		}
		all = append(all, m)
	}
	return all, nil
}

func (m *Miner) read(line string) (err error) {
	key, value, ok := strings.Cut(strings.TrimPrefix(line, "# "), ": ")
	if !ok || strings.Contains(key, " ") || key == "SPDX-License-Identifier" {
		return nil // text
	}
	switch key {
	default:
		return errors.New("expected gpus, option, fails or says in front of the colon")
	case "gpus":
		m.GPUs, err = strconv.Atoi(value)
	case "fails":
		m.Fails = append(m.Fails, value)
	case "says":
		m.Says = append(m.Says, value)
	case "option":
		name, value, _ := strings.Cut(value, " = ")
		if strings.HasPrefix(value, `"`) {
			m.Options[name], err = strconv.Unquote(value)
		} else {
			m.Options[name], err = strconv.ParseFloat(value, 64)
		}
	}
	return err
}
