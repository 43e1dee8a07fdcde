// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMaxBuildTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 6 * time.Hour, "0": 0, "0s": 0, "90m": 90 * time.Minute, "5m": 5 * time.Minute, "168h": 168 * time.Hour,
		"4m59s": -1, "168h1s": -1, "-1h": -1, "90": -1, "soon": -1,
	} {
		raw := map[string]any{"region": "eu-central-1"}
		if text != "" {
			raw["max_build_time"] = text
		}
		var c Config
		_, err := c.Prepare(raw)
		switch {
		case want < 0:
			if err == nil || !strings.Contains(err.Error(), `max_build_time: got "`+text+`", want`) {
				t.Errorf("%q: got error %v, want one about max_build_time", text, err)
			}
		case err != nil || c.MaxBuildTime != want:
			t.Errorf("%q: got %s, %v, want %s", text, c.MaxBuildTime, err, want)
		}
	}
}

// TestShutdownBehavior: the instance terminates when it shuts itself down, unless the
// user chose otherwise or auto-termination is unavailable.
func TestShutdownBehavior(t *testing.T) {
	for name, test := range map[string]struct {
		config map[string]any
		want   string
	}{
		"by default":                   {nil, "terminate"},
		"set by the user":              {map[string]any{"shutdown_behavior": "stop"}, "stop"},
		"provisioners shut it down":    {map[string]any{"disable_stop_instance": true}, "stop"},
		"disabled":                     {map[string]any{"max_build_time": "0"}, "stop"},
		"user data not for cloud-init": {map[string]any{"user_data": "{}"}, "stop"},
		"no metadata service":          {map[string]any{"metadata_options": map[string]any{"http_endpoint": "disabled"}}, "stop"},
	} {
		raw := map[string]any{"region": "eu-central-1"}
		maps.Copy(raw, test.config)
		var c Config
		if _, err := c.Prepare(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := c.InstanceInitiatedShutdownBehavior; got != test.want {
			t.Errorf("%s: got shutdown_behavior %q, want %q", name, got, test.want)
		}
	}
}

func TestLatestEnd(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	regions := map[string]any{"ami_regions": []string{"us-east-1"}}
	for name, test := range map[string]struct {
		config map[string]any
		copies bool // only
		want   time.Duration
		why    string
	}{
		"one region":      {nil, false, 6 * time.Hour, "6h for the instance (max_build_time)"},
		"two regions":     {regions, false, 7 * time.Hour, "6h for the instance (max_build_time) and 1h for the copies"},
		"only copies":     {regions, true, time.Hour, "1h for the copies"},
		"time-based copy": {map[string]any{"ami_regions": []string{"us-east-1"}, "snapshot_copy_duration_minutes": 30}, true, 30 * time.Minute, "30m for the copies"},
		"a limit":         {map[string]any{"max_build_time": "10m"}, false, 10 * time.Minute, "10m for the instance (max_build_time)"},
		"without a limit": {map[string]any{"max_build_time": "0"}, false, 6 * time.Hour, "6h for the instance (max_build_time)"},
	} {
		raw := map[string]any{"region": "eu-central-1"}
		maps.Copy(raw, test.config)
		var c Config
		if _, err := c.Prepare(raw); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if end, why := c.LatestEnd(now, "eu-central-1", !test.copies); end.Sub(now) != test.want || why != test.why {
			t.Errorf("%s: got %s, %q, want %s, %q", name, end.Sub(now), why, test.want, test.why)
		}
	}
}

// TestUserDataTooLong: packer validate rejects user data that exceeds EC2's limit.
func TestUserDataTooLong(t *testing.T) {
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, bytes.Repeat([]byte("a key=value\n"), 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]map[string]any{
		"user_data_file: it has 24000 bytes": {"user_data_file": long},
		"user_data: it has 16385 bytes":      {"user_data": "{" + strings.Repeat("x", 16384), "max_build_time": "0"},
	} {
		raw := map[string]any{"region": "eu-central-1"}
		maps.Copy(raw, config)
		if _, err := new(Config).Prepare(raw); err == nil || !strings.Contains(err.Error(), name+", want at most 16384") {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}
