// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// unitRoot returns a root folder with the units and the programs that they refer to.
func unitRoot(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("SKIPPED: needs systemd-analyze: apt-get install systemd")
	}
	root := t.TempDir()
	for _, path := range []string{"/usr/local/bin/ethminer", "/usr/local/lib/ethminer/config", "/usr/local/lib/ethminer/metrics", "/usr/local/lib/ethminer/wait-gpu"} {
		write(t, root+path, "#!/bin/sh\n")
		if err := os.Chmod(root+path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	units, err := filepath.Glob("scripts/image/*.*er*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range units {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, "etc/systemd/system", filepath.Base(file)), string(data))
	}
	// Programs of every system.
	if err := os.MkdirAll(root+"/usr/lib/systemd", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/usr/lib/systemd/system", "/lib/systemd/system"} {
		if _, err := os.Stat(dir); err == nil {
			if err := os.CopyFS(root+"/usr/lib/systemd/system", os.DirFS(dir)); err == nil {
				break
			}
		}
	}
	return root
}

// TestSandboxIsDocumented: docs/service.md documents the effect of each sandbox option on
// the GPU, and the unit uses none that hides it.
func TestSandboxIsDocumented(t *testing.T) {
	unit, err := os.ReadFile("scripts/image/ethminer.service")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/service.md")
	if err != nil {
		t.Fatal(err)
	}
	used, hiding, ok := strings.Cut(string(doc), "These options are not used")
	if !ok {
		t.Fatal("docs/service.md has no list of options that are not used")
	}
	_, service, _ := strings.Cut(string(unit), "[Service]\n")
	service, _, _ = strings.Cut(service, "\n[")
	sandbox := false
	for line := range strings.Lines(service) {
		line = strings.TrimSpace(line)
		sandbox = sandbox || strings.HasPrefix(line, "UMask=")
		if !sandbox || line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line, "=")
		if !strings.Contains(used, "| `"+line+"` |") {
			t.Errorf("docs/service.md does not explain %s", line)
		}
		if strings.Contains(hiding, "`"+name+"=") {
			t.Errorf("ethminer.service uses %s, which docs/service.md says hides the GPU", name)
		}
	}
	if !sandbox {
		t.Error("ethminer.service has no sandbox")
	}
}

// TestUnitsAreValidAndHardened uses systemd-analyze.
func TestUnitsAreValidAndHardened(t *testing.T) {
	root := unitRoot(t)
	for unit, most := range map[string]float64{"ethminer.service": 4.5, "ethminer-config.service": 7.5, "ethminer-metrics.service": 5} {
		out, err := exec.Command("systemd-analyze", "verify", "--root="+root, root+"/etc/systemd/system/"+unit).CombinedOutput()
		if err != nil || strings.Contains(string(out), unit) {
			t.Errorf("verify %s: %v\n%s", unit, err, out)
		}
		out, _ = exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", "--root="+root, unit).CombinedOutput()
		found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(string(out))
		if found == nil {
			t.Errorf("security %s: got no exposure:\n%s", unit, out)
			continue
		}
		if exposure, _ := strconv.ParseFloat(found[1], 64); exposure > most {
			t.Errorf("%s: got exposure %v, want %v or less", unit, exposure, most)
		}
	}
}

// aws is a stand-in for the metadata service and for CloudWatch.
type aws struct {
	userData string
	posted   []string
}

func (a *aws) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answers := map[string]string{
		"/latest/user-data":                                a.userData,
		"/latest/meta-data/instance-id":                    "i-0123",
		"/latest/meta-data/placement/region":               "eu-central-1",
		"/latest/meta-data/services/domain":                "amazonaws.com",
		"/latest/meta-data/iam/security-credentials/":      "miner",
		"/latest/meta-data/iam/security-credentials/miner": "{\n  \"AccessKeyId\" : \"AKIDEXAMPLE\",\n  \"SecretAccessKey\" : \"se/cret+\",\n  \"Token\" : \"to/ken==\"\n}",
	}
	switch answer, ok := answers[r.URL.Path]; {
	case r.URL.Path == "/latest/api/token" && r.Method == http.MethodPut:
		_, _ = w.Write([]byte("token"))
	case r.Method == http.MethodPost && r.URL.Path == "/":
		_ = r.ParseForm()
		a.posted = append(a.posted, r.PostForm.Encode()+" "+r.Header.Get("X-Amz-Security-Token")+" "+r.Header.Get("Authorization"))
	case r.Header.Get("X-aws-ec2-metadata-token") != "token":
		w.WriteHeader(http.StatusUnauthorized)
	case !ok || answer == "":
		w.WriteHeader(http.StatusNotFound)
	default:
		_, _ = w.Write([]byte(answer))
	}
}

// helper runs a helper of the image against a stand-in.
func helper(t *testing.T, a *aws, name string, env ...string) (string, error) {
	t.Helper()
	s := httptest.NewServer(a)
	defer s.Close()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sys/class/dmi/id/sys_vendor"), "Amazon EC2\n")
	write(t, filepath.Join(dir, "bin/journalctl"), "#!/bin/sh\necho ' m 16:39:20 ethminer 0:00 A0 25.50 Mh - cu0 25.50'\n")
	if err := os.Chmod(filepath.Join(dir, "bin/journalctl"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sh", "scripts/image/"+name)
	c.Env = append([]string{"PATH=" + dir + "/bin:" + os.Getenv("PATH"), "IMDS=" + s.URL, "AWS_ENDPOINT_URL=" + s.URL, "SYSFS=" + dir + "/sys"}, env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

func TestConfigFromUserData(t *testing.T) {
	for _, test := range []struct{ name, userData, want string }{
		{"lines for ethminer", "#ethminer\nETHMINER_ARGS=\"-U -P stratum+ssl://0x0.it's@pool:1\"\nPATH=/evil\nETHMINER_METRICS=Mining\n", "ETHMINER_ARGS=\"-U -P stratum+ssl://0x0.it's@pool:1\"\nETHMINER_METRICS=Mining\n"},
		{"an unrelated script", "#!/bin/sh\nETHMINER_ARGS=x\n", ""},
		{"none", "", ""},
	} {
		conf := filepath.Join(t.TempDir(), "ethminer.conf")
		if out, err := helper(t, &aws{userData: test.userData}, "config", "CONF="+conf); err != nil {
			t.Errorf("%s: %v\n%s", test.name, err, out)
		}
		got, _ := os.ReadFile(conf)
		if string(got) != test.want {
			t.Errorf("%s: got ethminer.conf %q, want %q", test.name, got, test.want)
		}
		if info, err := os.Stat(conf); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v of ethminer.conf", test.name, info.Mode())
		}
	}
}

func TestMetricsAreSignedAndSent(t *testing.T) {
	a := &aws{}
	if out, err := helper(t, a, "metrics", "ETHMINER_METRICS=Mining & more"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(a.posted) != 1 {
		t.Fatalf("got requests %q", a.posted)
	}
	for _, want := range []string{
		"Action=PutMetricData", "Namespace=Mining+%26+more", "MetricData.member.1.Value=25500000", "Dimensions.member.1.Value=i-0123",
		" to/ken== ", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/", "/eu-central-1/monitoring/aws4_request",
	} {
		if !strings.Contains(a.posted[0], want) {
			t.Errorf("the request lacks %q: %s", want, a.posted[0])
		}
	}
	a = &aws{}
	if _, err := helper(t, a, "metrics"); err != nil || len(a.posted) != 0 {
		t.Errorf("without a namespace: got error %v, requests %q", err, a.posted)
	}
}
