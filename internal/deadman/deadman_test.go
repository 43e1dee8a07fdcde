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

// A part is what a judge finds in user data.
type found struct {
	kind, name string
	text       []byte
}

// judged is what cloud-init, or Python's email package, makes of user data.
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

// armed are all of whole with the switch, and as they were.
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

const multipart = `Content-Type: multipart/mixed; boundary="//"
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

// whole are user data that must mean with the switch what they mean without.
var whole = map[string]string{
	"a script":                         "#!/bin/sh\necho hi\n",
	"no line end":                      "#!/bin/sh\necho hi",
	"empty lines around":               "\n\n#!/bin/sh\necho hi\n\n\n",
	"a line that looks like a header":  "#!/bin/sh\nFoo: bar\n\n--ethminer-0123456789abcdef\n",
	"a dot and From":                   "#!/bin/sh\nFrom here\n.\n",
	"a line longer than MIME's":        "#!/bin/sh\n" + strings.Repeat("x", 2000) + "\n",
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
	"multipart":                        multipart,
	"multipart, Windows line ends":     strings.ReplaceAll(multipart, "\n", "\r\n"),
	"multipart without its end":        strings.TrimSuffix(multipart, "--//--\n"),
	"multipart with UTF-8":             strings.Replace(multipart, "[jq]", "[jq] # ⛏", 1),
	"multipart in multipart":           "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=outer\n\n--outer\n" + multipart + "\n--outer--\n",
	"MIME of one part":                 "Content-Type: text/x-shellscript\nMIME-Version: 1.0\n\n#!/bin/sh\necho hi\n",
	"a script that speaks of MIME":     "#!/bin/sh\necho 'MIME-Version: 1.0' >mail\n",
	"gzip":                             zipped("#!/bin/sh\necho hi\n"),
	"gzip of multipart":                zipped(multipart),
	"gzip of more than 16 KiB of text": zipped("#!/bin/sh\n" + strings.Repeat("echo a long script, as installers have it\n", 800)),
}

func TestArm(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: needs python3: its email package is the judge")
	}
	with, without := armed(t)
	for name, parts := range judged(t, "email", with) {
		if len(parts) < 2 || parts[0].kind != "text/cloud-boothook" || string(parts[0].text) != Switch(time.Hour) {
			t.Errorf("%s: the first part must be the switch: %q", name, parts)
			continue
		}
		plain, _ := unzip(without[name])
		if !strings.HasPrefix(string(plain), "Content-Type") && !strings.HasPrefix(string(plain), "MIME") && !bytes.Equal(parts[1].text, plain) {
			t.Errorf("%s: the user's part became %q, want %q", name, parts[1].text, plain)
		}
	}
}

// cloud-init itself takes the user's parts for what it takes them for without
// the switch.
func TestArmAsCloudInitSeesIt(t *testing.T) {
	if err := exec.Command("python3", "-c", "import cloudinit.user_data").Run(); err != nil {
		t.Skip("SKIPPED: needs cloud-init's Python module: it is the judge")
	}
	with, without := armed(t)
	all, alone := judged(t, "cloudinit", with), judged(t, "cloudinit", without)
	if len(alone) < len(whole) {
		t.Fatalf("cloud-init finds parts in %d of %d", len(alone), len(whole))
	}
	for name, want := range alone {
		parts := all[name]
		if len(parts) != 1+len(want) || parts[0].kind != "text/cloud-boothook" || parts[0].name != "ethminer-deadman" || string(parts[0].text) != Switch(time.Hour) {
			t.Errorf("%s: it finds %q", name, parts)
			continue
		}
		for i, w := range want {
			got := parts[i+1]
			if got.kind != w.kind || !bytes.Equal(got.text, w.text) {
				t.Errorf("%s: part %d is %s %q, without the switch %s %q", name, i, got.kind, got.text, w.kind, w.text)
			}
			if w.kind == "text/x-shellscript" && len(want) == 1 && name != "MIME of one part" && got.name != w.name {
				t.Errorf("%s: the script is called %q, without the switch %q", name, got.name, w.name)
			}
		}
	}
}

// Without user data of the user's own, the switch is all there is.
func TestArmAlone(t *testing.T) {
	armed, err := Arm(90*time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(armed); !strings.HasPrefix(text, "#cloud-boothook\n#!/bin/sh\n") || !strings.Contains(text, "\nlimit=5400\n") || strings.Contains(text, "@") {
		t.Errorf("it is:\n%s", text)
	}
}

func TestForeign(t *testing.T) {
	for name, own := range map[string]string{
		"Ignition":                       `{"ignition": {"version": "3.4.0"}}`,
		"Windows":                        "<powershell>\nWrite-Host hi\n</powershell>",
		"Bottlerocket":                   "[settings.host-containers.admin]\nenabled = true\n",
		"anything":                       "key=value\n",
		"a broken gzip":                  "\x1f\x8bno",
		"half a gzip":                    zipped("#!/bin/sh\n")[:20],
		"gzip of Ignition":               zipped(`{"ignition": {}}`),
		"a bomb":                         zipped(strings.Repeat("#", mostUnzipped+1)),
		"speaks of MIME, is not":         "{\"MIME-Version: 1.0\": 1}",
		"a message that is not in UTF-8": "MIME-Version: 1.0\nSubject: \xfc\n\n#!/bin/sh\n",
	} {
		if armed, err := Arm(time.Hour, []byte(own)); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: got %q, %v; it must be left alone", name, armed, err)
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
		t.Errorf("noise does not compress: %v", err)
	}
	if err := Check([]byte(script)); !errors.As(err, &size) || size.Bytes != len(script) {
		t.Errorf("got %v", err)
	}
	if err := Check(noise); err != nil {
		t.Errorf("%d bytes are allowed: %v", len(noise), err)
	}
	if armed, err := Arm(time.Hour, []byte("#!/bin/sh\n"+strings.Repeat("echo long\n", 2000))); err != nil || len(armed) > Limit {
		t.Errorf("20 kB of text must be compressed: %d bytes, %v", len(armed), err)
	}
}
