// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"strings"
	"testing"
)

// TestWrongRootDeviceName: a root device name of another image fails the build before
// anything is created.
func TestWrongRootDeviceName(t *testing.T) {
	for _, attribute := range []string{"launch_block_device_mappings", "ami_block_device_mappings"} {
		w := newWorld(t)
		_, err := w.build(t, t.Context(), map[string]any{attribute: []map[string]any{{"device_name": "/dev/xvda", "volume_size": 50}}})
		if want := attribute + `[0].device_name: "/dev/xvda" adds a second, blank disk`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if left := w.left(); len(left) > 0 {
			t.Errorf("got leftover resources %v, want none", left)
		}
	}
}

// TestKeptVolumesAreReported: a volume that the configuration keeps is reported; a volume that
// no longer exists is not an error.
func TestKeptVolumesAreReported(t *testing.T) {
	w := newWorld(t)
	_, err := w.build(t, t.Context(), map[string]any{"launch_block_device_mappings": []map[string]any{{"device_name": "/dev/sdf", "volume_size": 50}}})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	said := w.ui.String()
	for _, want := range []string{"Warning: launch_block_device_mappings[0]: /dev/sdf adds a blank disk", "Keeping vol-", "aws ec2 delete-volume"} {
		if !strings.Contains(strings.ReplaceAll(said, "--endpoint-url http://127.0.0.1 ", ""), want) {
			t.Errorf("got output without %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "does not exist") || strings.Contains(said, "Error") {
		t.Errorf("a successful build reports an error:\n%s", said)
	}
}
