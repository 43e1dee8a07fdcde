// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseStatus(t *testing.T) {
	for _, test := range []struct {
		name, line string
		want       Status
	}{
		{
			"0.19, HWMON 2, nothing mined",
			" m 16:39:20 ethminer 0:00 A0 0.00 h - cu0 0.00 62C 30% 188.24W, cu1 0.00 57C 49% 51.91W",
			Status{Devices: []Device{
				{Name: "cu0", TempC: 62, FanPercent: 30, PowerW: 188.24},
				{Name: "cu1", TempC: 57, FanPercent: 49, PowerW: 51.91},
			}},
		},
		{
			"0.19, all counters, a device's rate has the unit of the total",
			" m 16:39:20 ethminer 12:34 A10:W2:R1:F3 25.25 Mh - cu0 12.50 62C 30%, cu1 12.75",
			Status{
				Run: 12*time.Hour + 34*time.Minute, Rate: 25.25e6,
				Accepted: 10, Wasted: 2, Rejected: 1, Failed: 3,
				Devices: []Device{{Name: "cu0", Rate: 12.5e6, TempC: 62, FanPercent: 30}, {Name: "cu1", Rate: 12.75e6}},
			},
		},
		{
			"0.19, CPU, no sensors",
			" m 16:39:20 ethminer 0:01 A3 412.30 h - cp0 206.15, cp1 206.15",
			Status{Run: time.Minute, Rate: 412.3, Accepted: 3, Devices: []Device{{Name: "cp0", Rate: 206.15}, {Name: "cp1", Rate: 206.15}}},
		},
		{
			"colour",
			"\x1b[32m m \x1b[0m\x1b[35m16:39:20\x1b[0m ethminer 0:00 A0 \x1b[36m1.50 Gh\x1b[0m - cu0 1.50\r",
			Status{Rate: 1.5e9, Devices: []Device{{Name: "cu0", Rate: 1.5e9}}},
		},
		{
			"older, one GPU",
			" m 15:28:33 main     Speed 25.25 Mh/s gpu0 25.25 [A90+6] Time: 13:58",
			Status{
				Run: 13*time.Hour + 58*time.Minute, Rate: 25.25e6, Accepted: 90, Wasted: 6,
				Devices: []Device{{Name: "gpu0", Rate: 25.25e6}},
			},
		},
		{
			"older, bars and slashes",
			"  m  18:45:25|ethminer|  Speed 319.85 Mh/s    gpu/0 26.58 gpu/1 26.70  [A203+3:R0+0:F0] Time: 00:40",
			Status{
				Run: 40 * time.Minute, Rate: 319.85e6, Accepted: 203, Wasted: 3,
				Devices: []Device{{Name: "gpu/0", Rate: 26.58e6}, {Name: "gpu/1", Rate: 26.7e6}},
			},
		},
		{
			"a locale that groups by comma",
			" m 16:39:20 ethminer 0:00 A0 1,234.56 Mh - cu0 1,234.56",
			Status{Rate: 1234.56e6, Devices: []Device{{Name: "cu0", Rate: 1234.56e6}}},
		},
		{
			"a locale with a decimal comma",
			" m 16:39:20 ethminer 0:00 A0 25,25 Mh - cu0 25,25, cu1 0,00",
			Status{Rate: 25.25e6, Devices: []Device{{Name: "cu0", Rate: 25.25e6}, {Name: "cu1"}}},
		},
		{
			"cut within the devices: the total rate counts",
			" m 16:39:20 ethminer 0:00 A0 25.25 Mh - cu0 12.50 62C, cu",
			Status{Rate: 25.25e6, Devices: []Device{{Name: "cu0", Rate: 12.5e6, TempC: 62}}},
		},
		{
			"another line runs into the devices",
			" m 16:39:20 ethminer 0:00 A0 25.25 Mh - cu0 12.50 i 16:39:20 **Accepted",
			Status{Rate: 25.25e6, Devices: []Device{{Name: "cu0", Rate: 12.5e6}}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ParseLine(test.line)
			if got.Kind != KindStatus {
				t.Fatalf("got kind %d, want a status", got.Kind)
			}
			near(t, &got.Status, &test.want)
			if !reflect.DeepEqual(got.Status, test.want) {
				t.Errorf("got  %+v\nwant %+v", got.Status, test.want)
			}
		})
	}
}

// near rounds rates that differ only in the last floating-point digits.
func near(t *testing.T, got, want *Status) {
	t.Helper()
	snap := func(a *Rate, b Rate) {
		if math.Abs(float64(*a-b)) <= 1e-9*math.Abs(float64(b)) {
			*a = b
		}
	}
	snap(&got.Rate, want.Rate)
	for i := range min(len(got.Devices), len(want.Devices)) {
		snap(&got.Devices[i].Rate, want.Devices[i].Rate)
	}
}

func TestParseKind(t *testing.T) {
	for line, want := range map[string]Kind{
		" i 16:39:20 stratum **Accepted   1 ms. localhost:0":                                                  KindAccepted,
		" i 16:39:20 stratum **Accepted stale":                                                                KindStale,
		" X 16:39:20 stratum **Rejected 12 ms. pool:4444":                                                     KindRejected,
		" X 16:39:20 cuda-0 GPU 0 gave incorrect result. Lower overclocking values if it happens frequently.": KindIncorrect,
		"cu 16:39:20 cuda-0   This device hasn't enough memory available. Mining suspended ...":               KindFailure,
		"CUDA error in func set_constants at line 110 invalid device symbol on CUDA device 01:00.0":           KindFailure,
		"CUDA error in func init at line 1 out of memory on CUDA device 01:00.0":                              KindFailure,
		"  X  12:00:00|CUDA0     Error CUDA mining: unspecified launch failure":                               KindFailure,
		"  X  12:00:00|cuda-0    GPU error: CUDA error in func 'search' at line 301 an illegal memory access": KindFailure,
		"  X  12:00:00|CUDA0     Fatal GPU error: unspecified launch failure":                                 KindFailure,
		" cu 12:00:00|cuda-0    CUDA device Tesla T4 has insufficient GPU memory. 3.9 GB of memory found":     KindFailure,
		"  X  12:00:00|main      OpenCL init failed: clBuildProgram(-11)":                                     KindFailure,
		" cl 12:00:00|cl-0      Creating DAG buffer failed: clCreateBuffer: CL_INVALID_BUFFER_SIZE (-61)":     KindFailure,
		"No GPU device with sufficient memory was found. Can't GPU mine. Remove the -G argument":              KindFailure,
		" i 16:39:20 ethminer API : Method miner_getstat1 requested":                                          KindAPI,
		" i 16:39:20 ethminer New API session from 127.0.0.1:41834":                                           KindAPI,
		"CUDA Error : No CUDA driver found":                                                                   KindFailure,
		"CUDA Error : Insufficient CUDA driver 9010":                                                          KindFailure,
		"CUDA Error : system not yet initialized":                                                             KindFailure,
		"Error: No usable mining devices found":                                                               KindFailure,

		"cu 16:39:20 cuda-0   Generated DAG + Light in 23,024 ms. 6.43 GB left.":                         KindDAG,
		"cu 16:39:20 cuda-0   Generating DAG + Light(on GPU) : 4.57 GB":                                  Other,
		"cu 16:39:20 cuda-0   Generated DAG + Light in 23,0":                                             Other, // cut
		"cu 16:39:20 cuda-0   Generated DAG + Light in 23,0 i 16:39:20 1 ms":                             Other, // mixed
		"cu 16:39:20 cuda-0   Using Pci Id : 08:00.0 GeForce RTX 3060 Ti (Compute 8.6) Memory : 7.79 GB": Other,
		" i 16:39:20 main Simulation results : Max 0.000000 h Mean 0.000000 h":                           Other,
		" m 16:39:20 ethminer Not connected":                                                             Other,
		" m 16:39:20 ethminer 0:00 A0 25.25":                                                             Other, // cut before the unit
		" m 16:39:20 ethminer 0:00 A0 25.":                                                               Other,
		" m 16:39:20 ethminer 0:00 A0 25.25 Mi 16:39:20":                                                 Other, // mixed within the unit
		" m 16:39:20 ethminer 0:00 A0 -1.00 h - cu0 -1.00":                                               Other,
		" m 16:39:20 ethminer 0:00 A0 nan h - cu0 nan":                                                   Other,
		" m 16:39:20 ethminer 0:00 A0 " + strings.Repeat("9", 400) + " h - cu0 1":                        Other,
		"":  Other,
		"m": Other,
		" i 16:39:20 main A0 25.25 Mh - cu0 25.25 is not statistics": Other,
	} {
		if got := ParseLine(line).Kind; got != want {
			t.Errorf("ParseLine(%q).Kind = %d, want %d", line, got, want)
		}
	}
}

func TestParseDAG(t *testing.T) {
	for line, want := range map[string]time.Duration{
		"cu 16:39:20 cuda-0   Generated DAG + Light in 23,024 ms. 6.43 GB left.":                                                        23024 * time.Millisecond,
		"cl 16:39:20 cl-0     2.27GB of DAG data generated in 3885 ms.":                                                                 3885 * time.Millisecond,
		"cu 16:39:20 cuda-0   Generated DAG (13862 ms) + Light (231 ms) in 14094 ms. (Total initialzing time: 19786 ms.) 3.06 GB left.": 14094 * time.Millisecond,
		"\x1b[36mcu \x1b[0m16:39:20 cuda-1   Generated DAG + Light in 1.234.567 ms. 6,43 GB left.":                                      1234567 * time.Millisecond,
	} {
		if got := ParseLine(line); got.Kind != KindDAG || got.Took != want {
			t.Errorf("ParseLine(%q) = %d, %s, want %s", line, got.Kind, got.Took, want)
		}
	}
}

func TestUngroup(t *testing.T) {
	for text, want := range map[string]float64{
		"23,024":       23024,
		"1,234,567":    1234567,
		"1,234.5":      1234.5,
		"1.234,5":      1234.5,
		"25,25":        25.25,
		"0,5":          0.5,
		"1.234.567,25": 1234567.25,
	} {
		if got, ok := parseNumber(text); !ok || got != want {
			t.Errorf("parseNumber(%q) = %v, %v, want %v", text, got, ok, want)
		}
	}
}

func TestLines(t *testing.T) {
	var got []string
	lines := Lines{Each: func(line string) { got = append(got, line) }}
	long := strings.Repeat("x", maxLine+100)
	for _, chunk := range []string{"one\ntw", "o\r\nthr", "ee\rfour\n\n", long[:5000], long[5000:], "\nend"} {
		if n, err := lines.Write([]byte(chunk)); n != len(chunk) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	lines.Flush()
	want := []string{"one", "two", "three", "four", long[:maxLine], "end"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("lines %q", got)
	}
}

func FuzzParseLine(f *testing.F) {
	for _, line := range []string{
		" m 16:39:20 ethminer 0:00 A0:W1:R2:F3 25.25 Mh - cu0 25.25 62C 30% 188.24W, cu1 0.00 57C",
		" m 15:28:33 main     Speed 25.25 Mh/s gpu0 25.25 [A90+6] Time: 13:58",
		"  m  18:45:25|ethminer|  Speed 319.85 Mh/s    gpu/0 26.58 gpu/1 1  [A203+3:R0+0:F0] Time: 00:40",
		"\x1b[32m m \x1b[0m 1,2,3 Kh A1 \x1b[",
		" X 1 **Rejected",
		"cu 16:39:20 cuda-0   Generated DAG + Light in 23,024 ms. 6.43 GB left.",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line := ParseLine(text)
		check := func(r Rate) {
			if math.IsNaN(float64(r)) || math.IsInf(float64(r), 0) || r < 0 {
				t.Errorf("rate %v", float64(r))
			}
		}
		check(line.Status.Rate)
		if line.Took < 0 || line.Took > 24*time.Hour {
			t.Errorf("got DAG time %s", line.Took)
		}
		for _, d := range line.Status.Devices {
			check(d.Rate)
			if d.Name == "" {
				t.Error("got a device without a name")
			}
		}
		if strings.ContainsAny(line.Text, "\x1b\n\r") {
			t.Errorf("got control characters in %q", line.Text)
		}
		if again := ParseLine(line.Text); !reflect.DeepEqual(again, line) {
			t.Errorf("parsing %q twice: got %+v, then %+v", text, line, again)
		}
	})
}

// BenchmarkStream parses the output of a miner with four GPUs: a status line, a solution
// with its response, and a DAG line, in chunks as from a connection.
func BenchmarkStream(b *testing.B) {
	for name, colour := range map[string]string{"plain": "", "colour": "\x1b[32m"} {
		b.Run(name, func(b *testing.B) {
			text := []byte(strings.Join([]string{
				colour + " m 16:39:20 ethminer 12:34 A10:W2:R1:F3 100.25 Mh - cu0 25.05 62C 30% 70.24W, cu1 25.05 57C 49% 69.91W, cu2 25.05 60C 33% 70.02W, cu3 25.10 58C 31% 70.11W",
				colour + "cu 16:39:21 cuda-0   Job: 88f216f1... Sol: 0x64c83d17c53b0fb3",
				colour + " i 16:39:21 stratum  **Accepted  31 ms. etc.example.org:4444",
				colour + "cu 16:39:20 cuda-0   Generated DAG + Light in 23,024 ms. 6.43 GB left.",
			}, "\n") + "\n")
			lines := 0
			stream := Lines{Each: func(line string) { ParseLine(line); lines++ }}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				for piece := range slices.Chunk(text, 100) {
					_, _ = stream.Write(piece)
				}
			}
			b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// TestPrintable: a line is shown without binary garbage and terminal commands, and not
// too long.
func TestPrintable(t *testing.T) {
	for line, want := range map[string]string{
		"":                                         "",
		"m 16:39:20 5.00 Mh\tcu0 \u00e9":           "m 16:39:20 5.00 Mh\tcu0 \u00e9",
		"\x1b]0;title\x07\x1b[2J\x00\xff":          "?]0;title??[2J??",
		strings.Repeat("x", maxShown):              strings.Repeat("x", maxShown),
		strings.Repeat("x", maxShown+1):            strings.Repeat("x", maxShown) + "...",
		strings.Repeat("x", maxShown-1) + "\u00e9": strings.Repeat("x", maxShown-1) + "?...",
	} {
		if got := Printable(line); got != want {
			t.Errorf("Printable(%q) = %q, want %q", line, got, want)
		}
	}
}
