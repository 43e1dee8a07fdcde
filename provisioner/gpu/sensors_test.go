// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"maps"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// smi returns an nvidia-smi of a machine with two T4: sensors are its lines for the query
// whose last field is field.
func smi(field string, sensors ...string) string {
	return `case "$*" in
*name*) printf 'Tesla T4, 7.5, 580.1\nTesla T4, 7.5, 580.1\n' ;;
*` + field + `*) printf '` + strings.Join(sensors, `\n`) + `\n' ;;
*) echo "Field is not a valid field to query." ; exit 2 ;;
esac
`
}

// aFallenGPU is a dmesg that prints a second line from the second call on.
const aFallenGPU = `echo "[   11.1] NVRM: Xid (PCI:0000:00:1f): 43, from before"
[ ! -e "$TMPDIR/../asked" ] || echo "[  941.2] NVRM: Xid (PCI:0000:00:1e): 79, GPU has fallen off the bus."
: >"$TMPDIR/../asked"
`

func TestSensors(t *testing.T) {
	const line = " m 16:39:20 ethminer 0:00 A0 50.00 Mh - cu0 25.00, cu1 25.00"
	const made = "cu 16:39:20 cuda-0   Generated DAG + Light in 23,024 ms. 6.43 GB left."
	for _, test := range []struct {
		name     string
		programs map[string]string
		options  map[string]any
		want     []string // parts of the output, or of the error
		fails    bool
		check    func(miner.Report) bool
	}{
		{
			name:     "normal operation",
			programs: map[string]string{"nvidia-smi": smi("clocks_event_reasons", "0, 62, 70.00, 1245, 5000, 0x0000000000000004", "1, 58, 30.00, 1245, 5001, 0x0")},
			want:     []string{"50.00 Mh/s, 64 % of the memory bandwidth limit (data sheet), 100 W, 0.50 Mh/J, min_hashrate not set"},
			check: func(r miner.Report) bool {
				a, b := r.Devices[0], r.Devices[1]
				return a.TempC == 62 && a.PowerW == 70 && a.ClockMHz == 1245 && a.MemoryClockMHz == 5000 && a.SlowedBy[0] == "power cap" && !a.Hot &&
					b.TempC == 58 && b.PowerW == 30 && b.MemoryClockMHz == 5001 && len(b.SlowedBy) == 0 &&
					r.PowerW == 100 && r.MhPerJoule == 0.5 && r.DAGSeconds == 23.024 && len(r.Xids) == 0 &&
					len(r.Series) == 2 && r.Series[1].Device == "cu1" && len(r.Series[1].Rates) == b.Samples && r.Series[1].Rates[0].Hashrate == 25e6 &&
					len(r.Series[1].Sensors) > 0 && r.Series[1].Sensors[0].TempC == 58 && r.Series[1].Sensors[0].PowerW == 30
			},
		},
		{
			name:     "an older driver, and a GPU that does not report its power",
			programs: map[string]string{"nvidia-smi": smi("clocks_throttle_reasons", "0, 62, [N/A], 1245, 5000, 0x0", "1, 58, 30.00, 1245, 5000, 0x0")},
			check: func(r miner.Report) bool {
				return r.Devices[0].TempC == 62 && r.Devices[0].MhPerJoule == 0 && r.Devices[1].MhPerJoule > 0.8 && r.PowerW == 0 && r.MhPerJoule == 0
			},
		},
		{
			name:     "too hot: a warning",
			programs: map[string]string{"nvidia-smi": smi("clocks_event_reasons", "0, 62, 70.00, 1245, 5000, 0x0", "1, 93, 35.00, 300, 5000, 0x60")},
			want:     []string{"gate: warning: cu1 is overheating (93 C) and throttled (thermal slowdown, hardware thermal slowdown)"},
			check:    func(r miner.Report) bool { return r.Devices[1].Hot && !r.Devices[0].Hot },
		},
		{
			name:     "too hot and below the minimum rate",
			programs: map[string]string{"nvidia-smi": smi("clocks_event_reasons", "0, 62, 70.00, 1245, 5000, 0x0", "1, 93, 35.00, 300, 5000, 0x20")},
			options:  map[string]any{"min_hashrate": "60 Mh/s"},
			fails:    true, want: []string{"measured 50.00 Mh/s", "cu1 is overheating (93 C) and throttled (thermal slowdown): replace the instance"},
		},
		{
			name: "the driver logs an Xid", programs: map[string]string{"nvidia-smi": smi("clocks_event_reasons"), "dmesg": aFallenGPU},
			want:  []string{"gate: warning: the driver reports ", "Xid (PCI:0000:00:1e): 79, GPU has fallen off the bus.: the GPU has fallen off the bus: replace the instance"},
			check: func(r miner.Report) bool { return len(r.Xids) == 1 && strings.Contains(r.Xids[0], "79") },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			programs := tools()
			programs["nvcc"] = nvcc()
			maps.Copy(programs, test.programs)
			in := newInstance(t, programs)
			options := map[string]any{"source": minerSource(t, prints(made, line)), "benchmark_api": false, "benchmark_duration": "2s"}
			maps.Copy(options, test.options)
			said, err := provision(t, t.Context(), in, options)
			if (err != nil) != test.fails {
				t.Fatalf("%v\n%s", err, said)
			}
			if err != nil {
				said = err.Error()
			}
			for _, part := range test.want {
				if !strings.Contains(said, part) {
					t.Errorf("got output without %q:\n%s", part, said)
				}
			}
			report, err := miner.DecodeReport([]byte(in.installed(t, miner.ReportPath)))
			if err != nil || test.check != nil && !test.check(report) {
				t.Errorf("got error %v, report %+v", err, report)
			}
		})
	}
}

// TestXidExplainsMissingRate: a GPU that falls off the bus before its first rate is
// reported, too.
func TestXidExplainsMissingRate(t *testing.T) {
	programs := tools()
	maps.Copy(programs, gpus(1))
	programs["dmesg"] = aFallenGPU
	_, err := provision(t, t.Context(), newInstance(t, programs), map[string]any{
		"source": minerSource(t, prints(" m 16:39:20 ethminer 0:00 A0 0.00 h - cu0 0.00")), "benchmark_start_timeout": "1s",
	})
	if err == nil || !strings.Contains(err.Error(), "no hash rate above zero") || !strings.Contains(err.Error(), "the GPU has fallen off the bus: replace the instance") {
		t.Errorf("got error %v", err)
	}
}
