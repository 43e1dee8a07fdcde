// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package judge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience limits every wait; no test asserts durations.
const patience = 2 * time.Minute

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

func TestCommandLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()

	for _, tt := range []struct {
		args   string
		code   int
		stdout string // a part of it
		stderr string
	}{
		{"-V", 0, "\nethminer 0.19.0-reference\n", ""},
		{"--version", 0, "stand-in", ""},
		{"--help", 0, "--api-bind ADDR:PORT", ""},
		{"-h", 0, "Usage: ethminer", ""},
		{"--list-devices", 0, "   0 cpu-0     Cpu ", ""},
		{"--list-devices --cpu -t 3", 0, "   2 cpu-2     Cpu ", ""},
		{"", 1, "", "nothing to mine"},
		{"--cpu", 1, "", "nothing to mine"},
		{"--bogus", 1, "", "not expected: --bogus"},
		{"--cpu -M 1 stray", 1, "", "not expected: stray"},
		{"--cpu=yes -M 1", 1, "", "--cpu takes no value"},
		{"-M", 1, "", "-M needs a value"},
		{"--cpu -M -1", 1, "", `-M: "-1" is not a whole number from 0 to 61439999`},
		{"--cpu -M 61440000", 1, "", `"61440000" is not`},
		{"--cpu -M 99999999999999999999999", 1, "", "is not a whole number"},
		{"--cpu -M 1x", 1, "", `"1x" is not`},
		{"--cpu -M 1 --display-interval 0", 1, "", "from 1 to 1800"},
		{"--cpu -M 1 --display-interval=1801", 1, "", "from 1 to 1800"},
		{"--cpu -M 1 --HWMON 3", 1, "", "from 0 to 2"},
		{"--cpu -M 1 --api-bind 3333", 1, "", "is not ADDR:PORT"},
		{"--cpu -M 1 --api-bind 127.0.0.1:0", 1, "", "from 1 to 65535"},
		{"--cpu -M 1 --api-bind 127.0.0.1:", 1, "", "from 1 to 65535"},
		{"--cpu -P stratum1+tcp://localhost:1", 1, "", "is not stratum1+tcp://USER"},
		{"--cpu -M 1 -P stratum1+tcp://me@localhost:1", 1, "", "nothing to mine, or two things"},
		{"--cpu -P stratum1+tcp://me@127.0.0.1:1", 2, "", "cannot connect to 127.0.0.1:1: Connection refused"},
		{"-G -M 1", 1, "", "no OpenCL"},
		{"-U -M 1", 1, "", "no CUDA"},
		{"-M 1", 2, "", "Error: No usable mining devices found"},
		{"--cpu -M 1 --api-bind nowhere:3333", 2, "", "cannot listen on nowhere:3333: not an IP address"},
		{"--cpu -M 1 --api-bind " + taken.Addr().String(), 2, "", "Address already in use"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			cmd := exec.Command(program(t, "ETHMINER"), strings.Fields(tt.args)...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if code := exitCode(cmd.Run()); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(stdout.String(), tt.stdout) {
				t.Errorf("stdout %q, want %q in it", &stdout, tt.stdout)
			}
			if !strings.Contains(stderr.String(), tt.stderr) || (tt.stderr == "") != (stderr.Len() == 0) {
				t.Errorf("stderr %q, want %q in it", &stderr, tt.stderr)
			}
		})
	}
}

// miner is a running miner with a channel of its log lines.
type miner struct {
	cmd   *exec.Cmd
	lines chan string
	other bytes.Buffer // output on the stream without the log
}

func start(t *testing.T, onStdout bool, args ...string) *miner {
	t.Helper()
	if onStdout {
		args = append(args, "--stdout")
	}
	m := &miner{cmd: exec.Command(program(t, "ETHMINER"), args...), lines: make(chan string, 10000)}
	pipe, other := m.cmd.StderrPipe, &m.cmd.Stdout
	if onStdout {
		pipe, other = m.cmd.StdoutPipe, &m.cmd.Stderr
	}
	*other = &m.other
	out, err := pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.cmd.Process.Kill() })
	go func() {
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			m.lines <- scanner.Text()
		}
		close(m.lines)
	}()
	return m
}

// wait returns the groups of the first line that matches.
func (m *miner) wait(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var seen []string
	for deadline := time.After(patience); ; {
		select {
		case line, ok := <-m.lines:
			if !ok {
				t.Fatalf("ended without a line that matches %s; got:\n%s", pattern, strings.Join(seen, "\n"))
			}
			if groups := re.FindStringSubmatch(line); groups != nil {
				return groups
			}
			seen = append(seen, line)
		case <-deadline:
			t.Fatalf("no line matches %s; got:\n%s", pattern, strings.Join(seen, "\n"))
		}
	}
}

// stop sends the signal, and returns the exit code.
func (m *miner) stop(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := m.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	m.wait(t, `^ i \d\d:\d\d:\d\d main     Got interrupt \.\.\.$`)
	m.wait(t, `^ i \d\d:\d\d:\d\d main     Simulation results : Max \d+\.\d{6} [KMG]?h Mean \d+\.\d{6} [KMG]?h$`)
	m.wait(t, `^ i \d\d:\d\d:\d\d main     Terminated!$`)
	for line := range m.lines {
		t.Errorf("a line after the last: %q", line)
	}
	return exitCode(m.cmd.Wait())
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// rpc sends one line and decodes the response.
func rpc(t *testing.T, conn net.Conn, request string) (result json.RawMessage, code int) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintln(conn, request); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var response struct {
		Version string `json:"jsonrpc"`
		Result  json.RawMessage
		Error   struct{ Code int }
	}
	if err := json.Unmarshal(line, &response); err != nil || response.Version != "2.0" {
		t.Fatalf("answer %q: %v", line, err)
	}
	return response.Result, response.Error.Code
}

func method(name string) string { return `{"id":1,"jsonrpc":"2.0","method":"` + name + `"}` }

const statusPattern = `^ m \d\d:\d\d:\d\d ethminer 0:0\d A(\d+) (\d+\.\d\d) (K?h) - cp0 (\d+\.\d\d)(?: 0C 0% 0\.00W)?, cp1 (\d+\.\d\d)(?: 0C 0% 0\.00W)?$`

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestBenchmark(t *testing.T) {
	port := freePort(t)
	m := start(t, true, "--cpu", "-t", "2", "-M", "1", "--nocolor", "--HWMON", "2", "--display-interval", "1",
		"--api-bind", fmt.Sprintf("127.0.0.1:%d", port))
	m.wait(t, `^ethminer 0\.19\.0-reference$`)
	m.wait(t, `^ i .* Epoch : 0 Difficulty : 8\.19 Kh$`)
	m.wait(t, ` Generated Light cache in \d+ ms\.$`)
	m.wait(t, `^cp \d\d:\d\d:\d\d cpu-[01]    Job: [0-9a-f]{8}\.\.\. Sol: 0x[0-9a-f]{16}$`)
	m.wait(t, `^ i \d\d:\d\d:\d\d cpu-[01]    \*\*Accepted +\d+ ms\. localhost:0$`)
	// A line before the first count, half a second after the start, shows 0.
	status := m.wait(t, statusPattern)
	for number(t, status[1]) < 1 || number(t, status[2]) == 0 {
		status = m.wait(t, statusPattern)
	}
	farm, sum := number(t, status[2]), number(t, status[4])+number(t, status[5])
	if sum < farm-0.02 || sum > farm+0.02 {
		t.Errorf("the devices make %.2f, the farm %.2f in %q", sum, farm, status[0])
	}
	if !strings.HasSuffix(status[0], "W") {
		t.Errorf("no power in %q", status[0])
	}

	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if result, _ := rpc(t, conn, method("miner_ping")); string(result) != `"pong"` {
		t.Errorf("ping: %s", result)
	}
	for request, want := range map[string]int{
		"nonsense":                            -32700,
		"[]":                                  -32600,
		method("miner_getstathr"):             -32601,
		`{"id":1,"method":"miner_ping"}`:      -32600,
		`{"jsonrpc":"2.0","id":2,"method":3}`: -32600,
	} {
		if _, code := rpc(t, conn, request); code != want {
			t.Errorf("%s: error %d, want %d", request, code, want)
		}
	}

	result, _ := rpc(t, conn, method("miner_getstat1"))
	var stat1 []string
	if err := json.Unmarshal(result, &stat1); err != nil || len(stat1) != 9 {
		t.Fatalf("miner_getstat1: %s: %v", result, err)
	}
	for i, pattern := range []string{
		`^ethminer-0\.19\.0-reference$`, `^\d+$`, `^\d+;[1-9]\d*;0$`, `^\d+;\d+$`, `^0;0;0$`, `^off;off$`, `^0;0;0;0$`, `^localhost:0$`, `^0;0;0;0$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(stat1[i]) {
			t.Errorf("miner_getstat1[%d] is %q, want %s", i, stat1[i], pattern)
		}
	}

	result, _ = rpc(t, conn, method("miner_getstatdetail"))
	var detail struct {
		Connection struct{ Connected bool }
		Devices    []struct {
			Index    int    `json:"_index"`
			Mode     string `json:"_mode"`
			Hardware struct {
				Name, Pci, Type string
				Sensors         []float64
			}
			Mining struct {
				Hashrate    string
				PauseReason *string `json:"pause_reason"`
				Paused      bool
				Segment     []string
				Shares      []int
			}
		}
		Host   struct{ Version string }
		Mining struct {
			Difficulty, Epoch int
			Hashrate          string
			Shares            []int
		}
	}
	if err := json.Unmarshal(result, &detail); err != nil {
		t.Fatalf("miner_getstatdetail: %s: %v", result, err)
	}
	total, err := strconv.ParseUint(detail.Mining.Hashrate, 0, 32)
	if err != nil || total == 0 || len(detail.Mining.Hashrate) != 10 || len(detail.Mining.Shares) != 4 ||
		detail.Mining.Difficulty != 8192 || !detail.Connection.Connected || len(detail.Devices) != 2 {
		t.Fatalf("miner_getstatdetail: %s", result)
	}
	for i, device := range detail.Devices {
		if device.Index != i || device.Mode != "CPU" || device.Hardware.Pci != fmt.Sprintf("cpu-%d", i) ||
			len(device.Hardware.Sensors) != 3 || device.Mining.Paused || device.Mining.PauseReason != nil ||
			len(device.Mining.Segment) != 2 || len(device.Mining.Shares) != 4 {
			t.Errorf("device %d: %+v", i, device)
		}
	}

	if code := m.stop(t, os.Interrupt); code != 0 {
		t.Errorf("exit code %d after an interrupt", code)
	}
	if m.other.Len() != 0 {
		t.Errorf("with --stdout, stderr got %q", &m.other)
	}
}

// A device that is paused through the API shows 0 and the other continues; a negative port forbids pausing.
func TestReadOnly(t *testing.T) {
	for _, sign := range []string{"", "-"} {
		t.Run("port "+sign, func(t *testing.T) {
			port := freePort(t)
			m := start(t, false, "--cpu", "-t2", "-Z", "29999", "--nocolor", "--display-interval", "1",
				"--api-bind", fmt.Sprintf("127.0.0.1:%s%d", sign, port))
			m.wait(t, `Api server listening`)
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_, code := rpc(t, conn, `{"id":1,"jsonrpc":"2.0","method":"miner_pausegpu","params":{"index":1,"pause":true}}`)
			if sign == "-" {
				if code != -32601 {
					t.Errorf("error %d, want -32601", code)
				}
			} else {
				m.wait(t, ` ethminer .* - cp0 [0-9.]*[1-9][0-9.]*, cp1 0\.00$`)
			}
			if code := m.stop(t, syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d after SIGTERM", code)
			}
			if !strings.Contains(m.other.String(), "ethminer 0.19.0-reference") {
				t.Errorf("stdout got %q", &m.other)
			}
		})
	}
}

// An interrupt during cache generation (seconds, for the last epoch) ends it too.
func TestInterruptWhileGenerating(t *testing.T) {
	m := start(t, false, "--cpu", "-M", "61439999", "--nocolor")
	m.wait(t, ` Generating Light cache : 271\.87 MB `)
	if code := m.stop(t, os.Interrupt); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestColour(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		env    string
		escape bool
		head   bool
	}{
		{"default", nil, "NO_COLOR=", true, true},
		{"--nocolor", []string{"--nocolor"}, "NO_COLOR=", false, true},
		{"NO_COLOR", nil, "NO_COLOR=1", false, true},
		{"--syslog", []string{"--syslog"}, "NO_COLOR=", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(program(t, "ETHMINER"), append([]string{"--cpu", "-M", "1"}, tt.args...)...)
			cmd.Env = append(os.Environ(), tt.env)
			out, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(line, "\x1b[") != tt.escape {
				t.Errorf("line %q, want colours %v", line, tt.escape)
			}
			if strings.HasPrefix(line, "Epoch : 0") == tt.head {
				t.Errorf("line %q, want a head %v", line, tt.head)
			}
		})
	}
}
