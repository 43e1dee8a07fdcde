// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package deadman

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// found is a part of user data, as a reference parser sees it.
type found struct {
	kind, name string
	text       []byte
}

// judged returns the parts that cloud-init, or Python's email package, finds in user data.
func judged(t *testing.T, judge string, data map[string][]byte) map[string][]found {
	t.Helper()
	input, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "testdata/parts.py", judge)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", judge, err, said.String())
	}
	var lists map[string][][3]string
	if err := json.Unmarshal(out, &lists); err != nil {
		t.Fatal(err)
	}
	all := map[string][]found{}
	for name, list := range lists {
		for _, r := range list {
			text, err := base64.StdEncoding.DecodeString(r[2])
			if err != nil {
				t.Fatal(err)
			}
			all[name] = append(all[name], found{r[0], r[1], text})
		}
	}
	return all
}

// armed returns all user data of whole with and without the shutdown timer.
func armed(t *testing.T) (with, without map[string][]byte) {
	t.Helper()
	with, without = map[string][]byte{}, map[string][]byte{}
	for name, own := range whole {
		data, err := Arm(time.Hour, []byte(own))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(data) > Limit {
			t.Errorf("%s: %d bytes", name, len(data))
		}
		with[name], without[name] = data, []byte(own)
	}
	return with, without
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

const manyParts = `Content-Type: multipart/mixed; boundary="//"
MIME-Version: 1.0

--//
Content-Type: text/cloud-config; charset="us-ascii"

#cloud-config
packages: [jq]
--//
Content-Type: text/x-shellscript; charset="us-ascii"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="mine.sh"

IyEvYmluL3NoCmVjaG8gaGkK
--//--
`

// whole is user data that must keep its meaning with the shutdown timer.
var whole = map[string]string{
	"a script":                         "#!/bin/sh\necho hi\n",
	"no line end":                      "#!/bin/sh\necho hi",
	"empty lines around":               "\n\n#!/bin/sh\necho hi\n\n\n",
	"a line that looks like a header":  "#!/bin/sh\nFoo: bar\n\n--ethminer-0123456789abcdef\n",
	"a dot and From":                   "#!/bin/sh\nFrom here\n.\n",
	"a line longer than MIME allows":   "#!/bin/sh\n" + strings.Repeat("x", 2000) + "\n",
	"Windows line ends":                "#!/bin/sh\r\necho hi\r\n",
	"UTF-8":                            "#!/bin/sh\necho Grüße ⛏\n",
	"Latin 1":                          "#!/bin/sh\necho Gr\xfc\xdfe\n",
	"a zero byte":                      "#!/bin/sh\nexit\n\x00\x01\x02",
	"a form feed":                      "#!/bin/sh\n\f\n\x1c\necho hi\n",
	"cloud-config":                     "#cloud-config\nruncmd: [[echo, hi]]\n",
	"cloud-config, jsonp":              "#cloud-config-jsonp\n[]\n",
	"a boothook":                       "#cloud-boothook\n#!/bin/sh\necho early\n",
	"an include":                       "#include\nhttps://example.com/x\n",
	"an include-once":                  "#include-once\nhttps://example.com/x\n",
	"a part handler":                   "#part-handler\ndef list_types(): return []\n",
	"jinja":                            "## template: jinja\n#cloud-config\nhostname: {{ v1.region }}\n",
	"capital letters":                  "#Cloud-Config\nruncmd: []\n",
	"multipart":                        manyParts,
	"multipart, Windows line ends":     strings.ReplaceAll(manyParts, "\n", "\r\n"),
	"multipart without its end":        strings.TrimSuffix(manyParts, "--//--\n"),
	"multipart with UTF-8":             strings.Replace(manyParts, "[jq]", "[jq] # ⛏", 1),
	"multipart in multipart":           "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=outer\n\n--outer\n" + manyParts + "\n--outer--\n",
	"MIME of one part":                 "Content-Type: text/x-shellscript\nMIME-Version: 1.0\n\n#!/bin/sh\necho hi\n",
	"a script that speaks of MIME":     "#!/bin/sh\necho 'MIME-Version: 1.0' >mail\n",
	"gzip":                             zipped("#!/bin/sh\necho hi\n"),
	"gzip of multipart":                zipped(manyParts),
	"gzip of more than 16 KiB of text": zipped("#!/bin/sh\n" + strings.Repeat("echo a long script, as installers have it\n", 800)),
}

func TestArm(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: needs python3 for its email package")
	}
	with, without := armed(t)
	for name, parts := range judged(t, "email", with) {
		if len(parts) < 2 || parts[0].kind != "text/cloud-boothook" || string(parts[0].text) != Switch(time.Hour) {
			t.Errorf("%s: got parts %q, want the shutdown timer first", name, parts)
			continue
		}
		plain, _ := unzip(without[name])
		if !strings.HasPrefix(string(plain), "Content-Type") && !strings.HasPrefix(string(plain), "MIME") && !bytes.Equal(parts[1].text, plain) {
			t.Errorf("%s: got the user's part %q, want %q", name, parts[1].text, plain)
		}
	}
}

// TestArmWithCloudInit: cloud-init interprets the user's parts as without the
// shutdown timer.
func TestArmWithCloudInit(t *testing.T) {
	if err := exec.Command("python3", "-c", "import cloudinit.user_data").Run(); err != nil {
		t.Skip("SKIPPED: needs cloud-init's Python module")
	}
	with, without := armed(t)
	all, alone := judged(t, "cloudinit", with), judged(t, "cloudinit", without)
	if len(alone) < len(whole) {
		t.Fatalf("got parts in %d of %d user data from cloud-init", len(alone), len(whole))
	}
	for name, want := range alone {
		parts := all[name]
		if len(parts) != 1+len(want) || parts[0].kind != "text/cloud-boothook" || parts[0].name != "ethminer-deadman" || string(parts[0].text) != Switch(time.Hour) {
			t.Errorf("%s: got parts %q, want the shutdown timer and the user's parts", name, parts)
			continue
		}
		for i, w := range want {
			got := parts[i+1]
			if got.kind != w.kind || !bytes.Equal(got.text, w.text) {
				t.Errorf("%s: part %d: got %s %q, want %s %q", name, i, got.kind, got.text, w.kind, w.text)
			}
			if w.kind == "text/x-shellscript" && len(want) == 1 && name != "MIME of one part" && got.name != w.name {
				t.Errorf("%s: got script name %q, want %q", name, got.name, w.name)
			}
		}
	}
}

// TestArmWithoutUserData: without user data of the user, the shutdown timer is the only part.
func TestArmWithoutUserData(t *testing.T) {
	armed, err := Arm(90*time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(armed); !strings.HasPrefix(text, "#cloud-boothook\n#!/bin/sh\n") || !strings.Contains(text, "\nlimit=5400\n") || strings.Contains(text, "@") {
		t.Errorf("got user data:\n%s", text)
	}
}

func TestArmRejectsForeignFormats(t *testing.T) {
	for name, own := range map[string]string{
		"Ignition":                       `{"ignition": {"version": "3.4.0"}}`,
		"Windows":                        "<powershell>\nWrite-Host hi\n</powershell>",
		"Bottlerocket":                   "[settings.host-containers.admin]\nenabled = true\n",
		"other text":                     "key=value\n",
		"a broken gzip":                  "\x1f\x8bno",
		"half a gzip":                    zipped("#!/bin/sh\n")[:20],
		"gzip of Ignition":               zipped(`{"ignition": {}}`),
		"a decompression bomb":           zipped(strings.Repeat("#", mostUnzipped+1)),
		"JSON that mentions MIME":        "{\"MIME-Version: 1.0\": 1}",
		"a message that is not in UTF-8": "MIME-Version: 1.0\nSubject: \xfc\n\n#!/bin/sh\n",
	} {
		if armed, err := Arm(time.Hour, []byte(own)); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: got %q, %v, want ErrForeign", name, armed, err)
		}
	}
}

func TestSize(t *testing.T) {
	noise := make([]byte, Limit)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n: " + base64.StdEncoding.EncodeToString(noise) + "\n"
	var size *SizeError
	if _, err := Arm(time.Hour, []byte(script)); !errors.As(err, &size) || size.Bytes <= Limit {
		t.Errorf("got %v, want SizeError for incompressible data", err)
	}
	if err := Check([]byte(script)); !errors.As(err, &size) || size.Bytes != len(script) {
		t.Errorf("got %v, want SizeError", err)
	}
	if err := Check(noise); err != nil {
		t.Errorf("%d bytes: got %v, want no error", len(noise), err)
	}
	if armed, err := Arm(time.Hour, []byte("#!/bin/sh\n"+strings.Repeat("echo long\n", 2000))); err != nil || len(armed) > Limit {
		t.Errorf("got %d bytes, %v, want 20 kB of text compressed", len(armed), err)
	}
}
