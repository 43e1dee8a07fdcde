// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package miner

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestReportRoundTrip(t *testing.T) {
	want := Report{
		SchemaVersion: ReportSchema, Miner: "ethminer 0.19.0", Source: "./miner", Device: DeviceCUDA,
		CPU: "Xeon", GPUs: []string{"Tesla T4"}, Block: 11_700_000, Epoch: 390, DAGBytes: DatasetBytes(390),
		WindowSeconds: 60, Samples: 60, Hashrate: 25.25e6, Min: 25e6, Max: 26e6, Accepted: 3, Floor: 20e6,
		Xids: []string{}, Failures: []string{}, Devices: []DeviceReport{{Name: "cu0", SlowedBy: []string{}, Samples: 60, Hashrate: 25.25e6}},
		Series: []Series{{
			Device: "cu0", Rates: []RatePoint{{Seconds: 5, Hashrate: 25e6}, {Seconds: 10, Hashrate: 25.5e6}},
			Sensors: []SensorPoint{{Seconds: 1, TempC: 61, PowerW: 69.5}},
		}},
		Verdict: VerdictPassed, StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeReport(data)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v from JSON", got, err)
	}
	// The JSON keys that other programs read.
	for _, part := range []string{`"schema_version": 1,`, `"hashrate_hs": 25250000,`, `"dag_bytes": `, `"started_at": "2026-01-02T03:04:05Z"`} {
		if !strings.Contains(string(data), part) {
			t.Errorf("got JSON without %s:\n%s", part, data)
		}
	}
}

func TestReportWithoutGPUHasEmptyList(t *testing.T) {
	data, err := Report{SchemaVersion: ReportSchema}.Encode()
	if err != nil || !strings.Contains(string(data), `"gpus": []`) || !strings.HasSuffix(string(data), "}\n") {
		t.Errorf("%v\n%s", err, data)
	}
}

func TestDecodeReportErrors(t *testing.T) {
	for _, data := range []string{``, `[]`, `{}`, `{"schema_version": 2}`, `{"schema_version": "1"}`} {
		if got, err := DecodeReport([]byte(data)); err == nil {
			t.Errorf("DecodeReport(%s) = %+v, want an error", data, got)
		}
	}
}

func TestMeasured(t *testing.T) {
	for _, test := range []struct {
		report Report
		want   string
	}{
		{
			Report{Device: DeviceCPU, CPU: "AMD EPYC", WindowSeconds: 10.001, Reference: true, Miner: "ethminer 0.19.0 (reference)"},
			"CPU: AMD EPYC, epoch 0, 10 s window, reference miner",
		},
		{
			Report{Device: DeviceCUDA, GPUs: []string{"Tesla T4", "Tesla T4", "NVIDIA L4"}, Epoch: 390, WindowSeconds: 3600, Miner: "ethminer 0.19.0"},
			"GPU: 2 x Tesla T4, NVIDIA L4, epoch 390, 3600 s window, ethminer 0.19.0",
		},
	} {
		if got := test.report.Measured(); got != test.want {
			t.Errorf("Measured() = %q, want %q", got, test.want)
		}
	}
}
