// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package nvidia

import (
	"strconv"
	"strings"
)

// xids maps the driver's errors that end mining to their meanings:
// https://docs.nvidia.com/deploy/xid-errors/.
var xids = map[int]string{
	13:  "a kernel of the miner failed on the GPU: it was built for another GPU, or the GPU computes incorrectly",
	31:  "the miner accessed invalid memory: it was built for another GPU, or its DAG does not fit",
	43:  "the miner's work on the GPU has stopped: see the preceding lines",
	48:  "the GPU memory has an uncorrectable error: replace the instance",
	62:  "the GPU's microcontroller has halted: replace the instance",
	63:  "the GPU has retired faulty memory: reboot or replace the instance",
	64:  "the GPU could not retire faulty memory: replace the instance",
	74:  "the links between the GPUs (NVLink) have errors: replace the instance",
	79:  "the GPU has fallen off the bus: replace the instance",
	94:  "the GPU memory has a contained error: restart the miner, or replace the instance",
	95:  "the GPU memory has an uncontained error: replace the instance",
	119: "the GPU's own processor (GSP) does not respond: reboot the instance, or use another driver_branch",
	120: "the GPU's own processor (GSP) has failed: reboot the instance, or use another driver_branch",
}

// Xid parses a line of the kernel log, such as "NVRM: Xid (PCI:0000:00:1e): 79,
// pid=1234, GPU has fallen off the bus.", and returns the number and its meaning, ""
// if unknown. ok is false for other lines.
func Xid(line string) (number int, meaning string, ok bool) {
	_, rest, found := strings.Cut(line, "NVRM: Xid (")
	if !found {
		return 0, "", false
	}
	_, rest, _ = strings.Cut(rest, "): ")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	number, err := strconv.Atoi(rest[:end])
	return number, xids[number], err == nil
}
