// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package nvidia

import (
	"strconv"
	"strings"
)

// xids are the driver's errors that end mining, by number:
// https://docs.nvidia.com/deploy/xid-errors/.
var xids = map[int]string{
	13:  "a kernel of the miner failed on the GPU: it was built for another GPU, or the GPU computes wrongly",
	31:  "the miner touched memory that is not its own: it was built for another GPU, or its DAG does not fit",
	43:  "the miner's work on the GPU has stopped: see the lines before",
	48:  "the GPU's memory has an error that cannot be corrected: replace the instance",
	62:  "the GPU's microcontroller has halted: replace the instance",
	63:  "the GPU has set memory aside as faulty: reboot the instance, or replace it",
	64:  "the GPU could not set faulty memory aside: replace the instance",
	74:  "the links between the GPUs (NVLink) have errors: replace the instance",
	79:  "the GPU has fallen off the bus: replace the instance",
	94:  "the GPU's memory has an error, which was contained: start the miner again, or replace the instance",
	95:  "the GPU's memory has an error, which was not contained: replace the instance",
	119: "the GPU's own processor (GSP) does not answer: reboot the instance, or take another driver_branch",
	120: "the GPU's own processor (GSP) has failed: reboot the instance, or take another driver_branch",
}

// Xid finds the number in a line of the kernel's log, such as "NVRM: Xid
// (PCI:0000:00:1e): 79, pid=1234, GPU has fallen off the bus.", and says what it
// means: "" for a number that is not known here. ok is false for other lines.
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
