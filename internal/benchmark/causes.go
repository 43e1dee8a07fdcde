// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package benchmark

import (
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// causes maps a part of a failure line, in lower case, to its remedy.
var causes = []struct{ part, remedy string }{
	{"invalid device symbol", "the binary was built for another GPU: remove -DCOMPUTE from cmake_options, or set it to this GPU's compute capability"},
	{"enough memory", "the DAG does not fit the GPU: choose a GPU with more memory or a smaller benchmark_block"},
	{"out of memory", "the DAG does not fit the GPU: choose a GPU with more memory or a smaller benchmark_block"},
	{"insufficient cuda driver", "the driver is older than the CUDA toolkit: install a newer driver"},
	{"driver/library version mismatch", "the loaded driver is not the installed one: reboot, and hold its packages"},
	{"no cuda driver", "the NVIDIA driver is not loaded: install it, or set device = \"cpu\""},
	{"system not yet initialized", "start nvidia-fabricmanager in exactly the driver's version"},
	{"no usable mining devices", "the miner finds no device of this kind: check device and the build options"},
}

// cause returns the remedy for the log's failure lines, or "" if unknown.
func (w *Watch) cause() string {
	lines, _ := w.evidence()
	text := strings.ToLower(strings.Join(lines, "\n"))
	for _, cause := range causes {
		if strings.Contains(text, cause.part) {
			return cause.remedy
		}
	}
	return ""
}

// Hint returns the likely cause of a verdict, to be appended to it.
func (w *Watch) Hint(r miner.Report) string {
	if _, telling := w.evidence(); telling {
		if cause := w.cause(); cause != "" {
			return "; its log shows the cause: " + cause
		}
	}
	if ails := Ailments(r); len(ails) > 0 {
		return "; " + strings.Join(ails, "; ")
	}
	return ""
}

// Remedy returns the remedy for the failure that the miner printed, or usual if it is
// unknown.
func (w *Watch) Remedy(usual string) string {
	if cause := w.cause(); cause != "" {
		return cause
	}
	return usual
}

// Shown returns the miner's output, to be appended to a message: the lines that name
// a failure. If there are none and last is true, it returns the last lines.
func (w *Watch) Shown(last bool) string {
	lines, telling := w.evidence()
	text := ""
	switch {
	case len(lines) == 0:
		text = "; the miner printed nothing"
	case telling || last:
		text = "; the miner printed:"
		for _, line := range lines {
			text += "\n  " + miner.Printable(line)
		}
	}
	if w.Log != "" {
		text += "\nits full output is in " + w.Log
	}
	return text
}
