// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/deadman"
)

func TestParseUserData(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte("#!/bin/sh\nexit\n"))
	_ = w.Close()
	armed := func(own string) string {
		data, err := deadman.Arm(time.Hour, []byte(own))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	const inner = "Content-Type: multipart/mixed; boundary=x\nMIME-Version: 1.0\n\n--x\nContent-Type: text/cloud-config\n\n#cloud-config\n--x\n\n#!/bin/sh\necho in\n--x--\n"
	hook := bootHook + " ethminer-deadman " + deadman.Switch(time.Hour)
	for name, test := range map[string]struct {
		data string
		want []string
	}{
		"script":                {"#!/bin/sh\nexit\n", []string{shellScript + " part-001 #!/bin/sh\nexit\n"}},
		"gzip":                  {zipped.String(), []string{shellScript + " part-001 #!/bin/sh\nexit\n"}},
		"boothook":              {"#cloud-boothook\n#!/bin/sh\n", []string{bootHook + " part-001 #!/bin/sh\n"}},
		"Windows script":        {"#!/bin/sh\r\necho a\r\n", []string{shellScript + " part-001 #!/bin/sh\necho a\n"}},
		"Windows boothook":      {"#cloud-boothook\r\n#!/bin/sh\r\nexit\r\n", []string{bootHook + " part-001 #!/bin/sh\nexit\n"}},
		"mixed line ends":       {"#!/bin/sh\nprintf 'a\r\n'\n", []string{shellScript + " part-001 #!/bin/sh\nprintf 'a\r\n'\n"}},
		"Windows multipart":     {strings.ReplaceAll(inner, "\n", "\r\n"), []string{"text/cloud-config part-001 #cloud-config", shellScript + " part-002 #!/bin/sh\necho in"}},
		"armed, Windows script": {armed("#!/bin/sh\r\necho ⛏\r\n"), []string{hook, shellScript + " part-001 #!/bin/sh\necho ⛏\n"}},
		"unknown":               {"{}", []string{"text/plain part-001 {}"}},
		"script mentions MIME":  {"#!/bin/sh\n# MIME-Version: 1\n", []string{shellScript + " part-001 #!/bin/sh\n# MIME-Version: 1\n"}},
		"armed, alone":          {armed(""), []string{bootHook + " part-001 " + deadman.Switch(time.Hour)}},
		"armed, with a script":  {armed("#!/bin/sh\necho ⛏\n"), []string{hook, shellScript + " part-001 #!/bin/sh\necho ⛏\n"}},
		"armed, with multipart": {armed(inner), []string{hook, "text/cloud-config part-002 #cloud-config", shellScript + " part-003 #!/bin/sh\necho in"}},
	} {
		parts, err := parseUserData([]byte(test.data))
		var got []string
		for _, p := range parts {
			got = append(got, p.kind+" "+p.name+" "+string(p.text))
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, test.want)
		}
	}
}
