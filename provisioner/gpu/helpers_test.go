// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package gpu

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// aws is a stand-in for the metadata service and for AWS.
type aws struct {
	metadata map[string]string // by path below /latest/, in addition to the defaults
	refuse   []string          // responses of status 400 to the first requests
	answer   string            // of the other requests

	requests []request
}

// request is a request to AWS.
type request struct {
	Host, Body string
	Headers    map[string]string
}

func (r request) form(t *testing.T) url.Values {
	t.Helper()
	form, err := url.ParseQuery(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return form
}

func (a *aws) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		headers := map[string]string{}
		for name := range r.Header {
			headers[name] = r.Header.Get(name)
		}
		a.requests = append(a.requests, request{r.Host, string(body), headers})
		if n := len(a.requests); n <= len(a.refuse) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, a.refuse[n-1])
			return
		}
		_, _ = io.WriteString(w, a.answer)
		return
	}
	if r.URL.Path == "/latest/api/token" && r.Method == http.MethodPut {
		_, _ = io.WriteString(w, "token")
		return
	}
	if r.Header.Get("X-aws-ec2-metadata-token") != "token" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/latest/")
	answer := a.metadata[path]
	if answer == "" {
		answer = map[string]string{
			"meta-data/instance-id":                    "i-0123",
			"meta-data/instance-life-cycle":            "on-demand",
			"meta-data/placement/region":               "eu-central-1",
			"meta-data/services/domain":                "amazonaws.com",
			"meta-data/iam/security-credentials/":      "miner",
			"meta-data/iam/security-credentials/miner": "{\n  \"AccessKeyId\" : \"AKIDEXAMPLE\",\n  \"SecretAccessKey\" : \"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\",\n  \"Token\" : \"to/ken==\"\n}",
		}[path]
	}
	if answer == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = io.WriteString(w, answer)
}

// standIns are the programs of an image that the helpers run, by name.
func standIns() map[string]string {
	return map[string]string{
		"journalctl": `case $* in *-k*) ;; *) echo ' m 16:39:20 ethminer 0:00 A0 25.50 Mh - cu0 25.50' ;; esac`,
		"nvidia-smi": `echo 'GPU 0: Tesla T4'; echo 'GPU 1: Tesla T4'`,
		"systemctl":  `[ "$2" = -q ] || echo active`,
	}
}

// helper runs a helper of the image against a stand-in. The instance has two GPUs.
func helper(t *testing.T, a *aws, name string, programs map[string]string, env ...string) (string, error) {
	t.Helper()
	s := httptest.NewServer(a)
	defer s.Close()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sys/class/dmi/id/sys_vendor"), "Amazon EC2\n")
	for device, ids := range map[string][2]string{
		"0000:00:1e.0": {"0x10de\n", "0x030200\n"}, "0000:00:1f.0": {"0x10de\n", "0x030200\n"}, // GPUs
		"0000:00:20.0": {"0x10de\n", "0x068000\n"}, "0000:00:03.0": {"0x1d0f\n", "0x030000\n"}, // a bridge; the console
	} {
		write(t, filepath.Join(dir, "sys/bus/pci/devices", device, "vendor"), ids[0])
		write(t, filepath.Join(dir, "sys/bus/pci/devices", device, "class"), ids[1])
	}
	write(t, filepath.Join(dir, "proc/uptime"), "3600.00 1.00\n")
	for program, script := range programs {
		file := filepath.Join(dir, "bin", program)
		write(t, file, "#!/bin/sh\n"+script+"\n")
		if err := os.Chmod(file, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("sh", "scripts/image/"+name)
	c.Env = append([]string{
		"PATH=" + dir + "/bin:" + os.Getenv("PATH"), "IMDS=" + s.URL, "AWS_ENDPOINT_URL=" + s.URL, "SYSFS=" + dir + "/sys", "PROC=" + dir + "/proc",
		"RUN=" + dir, "CONF=" + dir + "/ethminer.conf", "FLEET=" + dir + "/fleet.conf", "INVENTORY=" + dir + "/inventory.json", "PAUSE=0", "TRIES=10",
	}, env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// signedBy fails the test unless botocore computes the same signature for each request,
// and all headers of AWS are signed.
func signedBy(t *testing.T, service string, requests []request) {
	t.Helper()
	if exec.Command("python3", "-c", "import botocore").Run() != nil {
		t.Skip("SKIPPED: needs botocore as a judge: pip install botocore")
	}
	input, err := json.Marshal(requests)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("python3", "-c", `
import json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
for sent in json.load(sys.stdin):
    headers = {name.lower(): value for name, value in sent["Headers"].items()}
    parts = dict(part.split("=", 1) for part in headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", "))
    names = parts["SignedHeaders"].split(";")
    headers["host"] = sent["Host"]
    unsigned = [name for name in headers if name.startswith("x-amz-") or name in ("host", "content-type")]
    assert set(unsigned) <= set(names), ("unsigned", set(unsigned) - set(names))
    request = AWSRequest("POST", "http://" + sent["Host"] + "/", {n: headers[n] for n in names}, sent["Body"])
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", headers["x-amz-security-token"]), sys.argv[1], "eu-central-1")
    want = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert parts["Signature"] == want, (parts["Signature"], want)
    assert parts["Credential"] == auth.scope(request), parts["Credential"]
print("ok")
`, service)
	c.Stdin = bytes.NewReader(input)
	if out, err := c.CombinedOutput(); err != nil || string(out) != "ok\n" || len(requests) == 0 {
		t.Errorf("botocore does not accept the signature of %d requests: %v\n%s", len(requests), err, out)
	}
}

// TestHelpersDoNothingWithoutSettings: an image that is launched without a configuration,
// or with the miner's options alone, makes no request to AWS.
func TestHelpersDoNothingWithoutSettings(t *testing.T) {
	for _, name := range []string{"config", "metrics", "signal", "health", "spot"} {
		a := &aws{}
		if out, err := helper(t, a, name, standIns(), "ETHMINER_ARGS=-U"); err != nil || out != "" || len(a.requests) != 0 {
			t.Errorf("%s: got %v, requests %v\n%s", name, err, a.requests, out)
		}
	}
}

func TestConfig(t *testing.T) {
	const pools = `ETHMINER_POOLS="stratum1+ssl://a.example:1 stratum1+tcp://me:pass@b.example:2"` + "\n"
	for _, test := range []struct {
		name, userData, fleet, parameter, inventory, want, fails string
	}{
		{name: "user data for ethminer", userData: "#ethminer\nETHMINER_ARGS=\"-U -P stratum+ssl://0x0.it's@pool:1\"\nPATH=/evil\nETHMINER_METRICS=Mining\n", want: "ETHMINER_ARGS=\"-U -P stratum+ssl://0x0.it's@pool:1\"\nETHMINER_METRICS=Mining\n"},
		{name: "an unrelated script", userData: "#!/bin/sh\nETHMINER_ARGS=x\n"},
		{name: "no user data"},
		{
			name: "pools with fail-over", fleet: pools + "ETHMINER_ARGS=\"-U\"\nETHMINER_WALLET=\"0xabc\"\nETHMINER_WORKER=\"f-\"\nPATH=/evil\nAWS_ENDPOINT_URL_SSM=\n",
			want: pools + "ETHMINER_ARGS=\"-U\"\nETHMINER_WALLET=\"0xabc\"\nETHMINER_WORKER=\"f-\"\nAWS_ENDPOINT_URL_SSM=\nETHMINER_ARGS=\"-U -P stratum1+ssl://0xabc.f-0123@a.example:1 -P stratum1+tcp://me:pass@b.example:2\"\n",
		},
		{
			name: "secrets from SSM", fleet: "ETHMINER_SECRETS=\"/mining/secrets\"\nETHMINER_ARGS=-U\n",
			parameter: `{"Parameter":{"ARN":"x","Name":"/mining/secrets","Type":"SecureString","Value":"ETHMINER_WALLET=\"0xa\\b\"\nETHMINER_ARGS=\"-U -P http:\/\/x\"\nPATH=/evil","Version":1}}`,
			want:      "ETHMINER_SECRETS=\"/mining/secrets\"\nETHMINER_ARGS=-U\nETHMINER_WALLET=\"0xa\\b\"\nETHMINER_ARGS=\"-U -P http://x\"\n",
		},
		{name: "secrets without a setting", fleet: "ETHMINER_SECRETS=/s\n", parameter: `{"Parameter":{"Value":"wallet"}}`, fails: "the SSM parameter /s has no line such as ETHMINER_WALLET="},
		{name: "a pool without a wallet", fleet: pools, fails: "requires ETHMINER_WALLET"},
		{name: "nothing to configure", fleet: "PATH=/evil\n", fails: "has no line such as ETHMINER_ARGS="},
		{name: "another coin", fleet: "ETHMINER_COIN=\"ethw\"\nETHMINER_ARGS=-U\n", inventory: "{\n  \"coin\": \"etc\"\n}\n", fails: "for the coin ethw, but the image mines etc"},
		{name: "the image's coin", fleet: "ETHMINER_COIN=\"etc\"\n", inventory: "{\n  \"coin\": \"etc\"\n}\n", want: "ETHMINER_COIN=\"etc\"\n"},
	} {
		dir := t.TempDir()
		conf := filepath.Join(dir, "ethminer.conf")
		for file, text := range map[string]string{"fleet.conf": test.fleet, "inventory.json": test.inventory} {
			if text != "" {
				write(t, filepath.Join(dir, file), text)
			}
		}
		a := &aws{answer: test.parameter, metadata: map[string]string{"user-data": test.userData}}
		if test.parameter != "" {
			a.refuse = []string{`{"__type":"ThrottlingException"}`} // tried again
		}
		out, err := helper(t, a, "config", nil, "CONF="+conf, "FLEET="+filepath.Join(dir, "fleet.conf"), "INVENTORY="+filepath.Join(dir, "inventory.json"))
		if (err != nil) != (test.fails != "") || !strings.Contains(out, test.fails) {
			t.Errorf("%s: got %v, want %q\n%s", test.name, err, test.fails, out)
		}
		got, _ := os.ReadFile(conf) // none if it failed
		if string(got) != test.want {
			t.Errorf("%s: got ethminer.conf %q, want %q", test.name, got, test.want)
		}
		if info, err := os.Stat(conf); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v of ethminer.conf", test.name, info.Mode())
		}
		if left, _ := filepath.Glob(conf + ".new"); len(left) > 0 {
			t.Errorf("%s: left %v", test.name, left)
		}
		if test.parameter != "" {
			if len(a.requests) != 2 || a.requests[1].Headers["X-Amz-Target"] != "AmazonSSM.GetParameter" || !strings.Contains(a.requests[1].Body, `"WithDecryption":true`) {
				t.Errorf("%s: got requests %v", test.name, a.requests)
			}
			signedBy(t, "ssm", a.requests)
		}
	}
}

func TestMetrics(t *testing.T) {
	for _, test := range []struct{ name, log, rate, rejected string }{
		{"the mean of the interval", "m 16:39:20 ethminer 0:00 A0 25.50 Mh - cu0 25.50\nm 16:39:25 ethminer 0:00 A0 1.50 Kh - cu0 1.50", "12750750", ""},
		{"rejected shares", "m 1 ethminer 0:00 A0 2.00 h - cu0 2\ni 1 **Accepted 1 ms. pool\ni 1 **Accepted 1 ms. pool\ni 1 **Accepted stale\nX 1 **Rejected 1 ms. pool", "2", "25.00"},
		{"a service that is down", "", "0", ""},
	} {
		programs := standIns()
		programs["journalctl"] = "cat <<'EOF'\n" + test.log + "\nEOF"
		a := &aws{}
		if out, err := helper(t, a, "metrics", programs, "ETHMINER_METRICS=Mining & ~more", "ETHMINER_FLEET=f"); err != nil || len(a.requests) != 1 {
			t.Fatalf("%s: %v, requests %v\n%s", test.name, err, a.requests, out)
		}
		form := a.requests[0].form(t)
		for name, want := range map[string]string{
			"Action": "PutMetricData", "Namespace": "Mining & ~more", "MetricData.member.1.MetricName": "HashRate", "MetricData.member.1.Value": test.rate,
			"MetricData.member.1.Dimensions.member.1.Value": "f", "MetricData.member.2.Value": test.rejected, "MetricData.member.1.Dimensions.member.2.Name": "",
		} {
			if got := form.Get(name); got != want {
				t.Errorf("%s: got %s %q, want %q", test.name, name, got, want)
			}
		}
		signedBy(t, "monitoring", a.requests)
	}
}

func TestSignal(t *testing.T) {
	const cannot = "Stack mining is in CREATE_COMPLETE state and can not be signaled"
	const again = "Signal with ID i-0123 for resource Miners already exists. Signals may only be updated with a FAILURE status."
	for _, test := range []struct {
		name     string
		programs map[string]string // instead of healthy ones
		market   string
		refuse   []string
		status   string // of the last signal; empty for none
		sent     int
		fails    bool
	}{
		{name: "ready", status: "SUCCESS", sent: 1},
		{name: "CloudFormation is throttled", refuse: []string{"Rate exceeded"}, status: "SUCCESS", sent: 2},
		{name: "nobody waits", refuse: []string{cannot}, status: "SUCCESS", sent: 1},
		{name: "sent before a reboot", refuse: []string{again}, status: "SUCCESS", sent: 1},
		{name: "never accepted", refuse: []string{"AccessDenied", "AccessDenied", "AccessDenied", "AccessDenied", "AccessDenied"}, status: "SUCCESS", sent: 5, fails: true},
		{name: "a spot instance", market: "spot"},
		{name: "a lost GPU", programs: map[string]string{"nvidia-smi": "echo 'GPU 0: Tesla T4'"}, status: "FAILURE", sent: 1},
		{name: "a driver that does not answer", programs: map[string]string{"nvidia-smi": "exit 9"}, status: "FAILURE", sent: 1},
		{name: "a service that is down", programs: map[string]string{"systemctl": "echo failed; exit 3"}, status: "FAILURE", sent: 1},
	} {
		programs := standIns()
		for name, script := range test.programs {
			programs[name] = script
		}
		a := &aws{refuse: test.refuse, metadata: map[string]string{"meta-data/instance-life-cycle": test.market}}
		out, err := helper(t, a, "signal", programs, "ETHMINER_SIGNAL=mining Miners")
		if (err != nil) != test.fails || len(a.requests) != test.sent {
			t.Errorf("%s: got %v and %d requests, want %d\n%s", test.name, err, len(a.requests), test.sent, out)
			continue
		}
		if test.sent == 0 {
			continue
		}
		form := a.requests[len(a.requests)-1].form(t)
		for name, want := range map[string]string{"Action": "SignalResource", "StackName": "mining", "LogicalResourceId": "Miners", "UniqueId": "i-0123", "Status": test.status} {
			if got := form.Get(name); got != want {
				t.Errorf("%s: got %s %q, want %q", test.name, name, got, want)
			}
		}
		signedBy(t, "cloudformation", a.requests)
	}
}

func TestHealth(t *testing.T) {
	kernel := func(line string) string { return "case $* in *-k*) echo '" + line + "' ;; esac" }
	for _, test := range []struct {
		name     string
		programs map[string]string
		uptime   string
		checks   int
		sent     int
	}{
		{name: "healthy", checks: 4},
		{name: "a lost GPU", programs: map[string]string{"nvidia-smi": "echo 'GPU 0: Tesla T4'"}, checks: 5, sent: 1},
		{name: "not yet three times", programs: map[string]string{"nvidia-smi": "exit 9"}, checks: 2},
		{name: "too early", programs: map[string]string{"nvidia-smi": "exit 9"}, uptime: "1700.00 1.00\n", checks: 4},
		{name: "fallen off the bus", programs: map[string]string{"journalctl": kernel("NVRM: Xid (PCI:0000:00:1e): 79, pid=1, GPU has fallen off the bus.")}, checks: 3, sent: 1},
		{name: "an error of a program", programs: map[string]string{"journalctl": kernel("NVRM: Xid (PCI:0000:00:1e): 31, pid=1, MMU Fault")}, checks: 4},
		{name: "a service that is down", programs: map[string]string{"systemctl": "echo failed; exit 3"}, checks: 4}, // no reason to replace
	} {
		programs := standIns()
		for name, script := range test.programs {
			programs[name] = script
		}
		run := t.TempDir()
		env := []string{"ETHMINER_REPLACE_AFTER=30", "RUN=" + run}
		if test.uptime != "" {
			write(t, filepath.Join(run, "uptime"), test.uptime)
			env = append(env, "PROC="+run)
		}
		a := &aws{}
		for range test.checks {
			if out, err := helper(t, a, "health", programs, env...); err != nil {
				t.Errorf("%s: %v\n%s", test.name, err, out)
			}
		}
		if len(a.requests) != test.sent {
			t.Errorf("%s: got %d requests, want %d", test.name, len(a.requests), test.sent)
		}
		for _, r := range a.requests {
			want := url.Values{"Action": {"SetInstanceHealth"}, "Version": {"2011-01-01"}, "InstanceId": {"i-0123"}, "HealthStatus": {"Unhealthy"}, "ShouldRespectGracePeriod": {"false"}}
			if got := r.form(t); got.Encode() != want.Encode() {
				t.Errorf("%s: got %v, want %v", test.name, got, want)
			}
		}
		if test.sent > 0 {
			signedBy(t, "autoscaling", a.requests)
		}
	}
}

func TestSpot(t *testing.T) {
	a := &aws{metadata: map[string]string{
		"meta-data/instance-life-cycle":              "spot",
		"meta-data/events/recommendations/rebalance": `{"noticeTime": "2026-11-29T10:00:00Z"}`,
		"meta-data/spot/instance-action":             `{"action": "terminate", "time": "2026-11-29T10:05:00Z"}`,
	}}
	out, err := helper(t, a, "spot", nil, "ETHMINER_METRICS=Mining")
	if err != nil || !strings.Contains(out, "2026-11-29T10:05:00Z") {
		t.Errorf("got %v\n%s", err, out)
	}
	var sent []string
	for _, r := range a.requests {
		sent = append(sent, r.form(t).Get("MetricData.member.1.MetricName"))
	}
	if want := []string{"RebalanceRecommendations", "SpotInterruptions"}; !slices.Equal(sent, want) {
		t.Errorf("got metrics %v, want %v", sent, want)
	}
	signedBy(t, "monitoring", a.requests)
}

// TestEndpointOfService: a service's own endpoint takes precedence.
func TestEndpointOfService(t *testing.T) {
	other := &aws{}
	s := httptest.NewServer(other)
	defer s.Close()
	a := &aws{}
	if out, err := helper(t, a, "metrics", standIns(), "ETHMINER_METRICS=Mining", "AWS_ENDPOINT_URL_CLOUDWATCH="+s.URL); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(a.requests) != 0 || len(other.requests) != 1 {
		t.Errorf("got %d requests to AWS_ENDPOINT_URL and %d to that of CloudWatch, want 0 and 1", len(a.requests), len(other.requests))
	}
}
