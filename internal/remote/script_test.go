// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package remote

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// shell runs commands on this machine in separate sessions, as over SSH.
type shell struct {
	*packersdk.MockCommunicator
	tmp string
}

func (s shell) Start(_ context.Context, cmd *packersdk.RemoteCmd) error {
	c := exec.Command("/bin/sh", "-c", cmd.Command)
	c.Env = append(os.Environ(), "TMPDIR="+s.tmp)
	c.Stdin, c.Stdout, c.Stderr = cmd.Stdin, cmd.Stdout, cmd.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return err
	}
	go func() {
		_ = c.Wait()
		cmd.SetExited(c.ProcessState.ExitCode())
	}()
	return nil
}

func (s shell) Upload(path string, data io.Reader, _ *os.FileInfo) error {
	content, err := io.ReadAll(data)
	return errors.Join(err, os.WriteFile(path, content, 0o600))
}

// TestTimeLimitEndsOrphanedScript: the instance ends a script at its time limit even if the
// plugin has disconnected.
func TestTimeLimitEndsOrphanedScript(t *testing.T) {
	local := shell{&packersdk.MockCommunicator{}, t.TempDir()}
	m, err := New(t.Context(), local, Settings{Scripts: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Upload(t.Context(), "slow.sh", strings.NewReader("echo $$ >\"$TMPDIR/pid\"\nsleep 300 &\nsleep 300\n")); err != nil {
		t.Fatal(err)
	}
	s := Script{Name: "slow", Bound: time.Second}
	status, err := m.start(t.Context(), m.command(s), "", io.Discard, io.Discard, nil)
	if err != nil || status != 124 {
		t.Errorf("got exit code %d, %v, want timeout's 124", status, err)
	}
	log := newLog("slow")
	defer log.close()
	if err := m.explain(s, readAnswer(""), status, log); err.Error() != "slow did not finish within 1s" {
		t.Errorf("got explanation %q", err)
	}
	text, err := os.ReadFile(filepath.Join(local.tmp, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the script is still running: %v", err)
	}
}

// TestRunEndsTheEarlierRun: after a lost connection, the script still runs on the
// instance. A second run ends it, so that they do not work on the same files.
func TestRunEndsTheEarlierRun(t *testing.T) {
	local := shell{&packersdk.MockCommunicator{}, t.TempDir()}
	const script = `
echo $$ >>"$TMPDIR/pids"
if [ $(wc -l <"$TMPDIR/pids") -gt 1 ]; then echo @ok; exit; fi
sleep 300 &
echo $! >"$TMPDIR/child"
wait
`
	m, err := New(t.Context(), local, Settings{Scripts: fstest.MapFS{"twice.sh": {Data: []byte(script)}}})
	if err != nil {
		t.Fatal(err)
	}
	s := Script{Name: "twice", Bound: 5 * time.Minute}
	if err := m.UploadOwn(t.Context(), s.Name+".sh"); err != nil {
		t.Fatal(err)
	}
	first := &packersdk.RemoteCmd{Command: m.command(s)}
	if err := local.Start(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	child := 0
	for ; child == 0; time.Sleep(10 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(local.tmp, "child"))
		child, _ = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if _, err := m.Run(t.Context(), s); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(child, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the first run is still running: %v", err)
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	first.Wait()
}

// silent is a connection that carries nothing, without an error, until over is closed.
type silent struct {
	*packersdk.MockCommunicator
	over chan struct{}
}

func (s silent) Start(_ context.Context, cmd *packersdk.RemoteCmd) error {
	go func() {
		<-s.over
		cmd.SetExited(0)
	}()
	return nil
}

// TestSilentConnection: a script that the instance has ended by now is lost.
func TestSilentConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		comm := silent{&packersdk.MockCommunicator{}, make(chan struct{})}
		defer synctest.Wait()
		defer close(comm.over)
		m := &Machine{comm: comm, scripts: fstest.MapFS{"slow.sh": {}}, Work: "/work"}
		begun := time.Now()
		_, err := m.Run(t.Context(), Script{Name: "slow", Bound: time.Hour})
		if took := time.Since(begun); took < time.Hour || took > time.Hour+runGrace+stopPatience {
			t.Errorf("took %s", took)
		}
		if !Lost(err) || !strings.Contains(err.Error(), "the connection to the instance was lost while slow ran") {
			t.Errorf("got %v", err)
		}
	})
}

// TestFlood: a script that prints hundreds of MB, endless lines or binary garbage uses
// bounded memory. Its log has the beginning and the end, and the error is short.
func TestFlood(t *testing.T) {
	for name, flood := range map[string]string{
		"lines":           "yes 'a line of a verbose compiler' | head -c 100000000",
		"an endless line": "head -c 100000000 /dev/zero | tr '\\0' x",
		"binary garbage":  "i=0; head -c 3000000 /dev/urandom >\"$TMPDIR/garbage\"; while [ $i -lt 30 ]; do cat \"$TMPDIR/garbage\"; i=$((i + 1)); done",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			local := shell{&packersdk.MockCommunicator{}, t.TempDir()}
			script := "echo first\n{ " + flood + "; echo; } >&2\n" + flood + "\necho\nprintf 'last \\033[2J\\n'\nexit 3\n"
			m, err := New(t.Context(), local, Settings{Scripts: fstest.MapFS{"flood.sh": {Data: []byte(script)}}})
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = m.Run(t.Context(), Script{Name: "flood", Bound: 10 * time.Minute})
			runtime.ReadMemStats(&after) // HeapSys never shrinks
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 48<<20 {
				t.Errorf("the heap grew by %d MB", grown>>20)
			}
			if err == nil || !strings.Contains(err.Error(), "flood ended with exit code 3 (last ?[2J)") || len(err.Error()) > 500 {
				t.Fatalf("got error %.1000v", err)
			}
			kept, err := os.ReadFile(LogFile(err))
			if err != nil || !strings.HasPrefix(string(kept), "first\n") || !strings.HasSuffix(string(kept), "\nlast \x1b[2J\n") || len(kept) > maxHead+maxTail+100 {
				t.Errorf("got a log of %d bytes, %v: %.100q ... %q", len(kept), err, kept, kept[max(0, len(kept)-100):])
			}
			if name == "lines" && !regexp.MustCompile(`\n\.\.\. [0-9]+ bytes are omitted here \.\.\.\na line of a verbose compiler\n`).Match(kept) {
				t.Error("the log does not say what it omits")
			}
		})
	}
}

// TestNoRoomForLog: the local log is not worth failing for.
func TestNoRoomForLog(t *testing.T) {
	local := shell{&packersdk.MockCommunicator{}, t.TempDir()}
	m, err := New(t.Context(), local, Settings{Scripts: fstest.MapFS{"good.sh": {Data: []byte("echo @ok\n")}, "bad.sh": {Data: []byte("echo why\nexit 3\n")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	if _, err := m.Run(t.Context(), Script{Name: "good", Bound: time.Minute}); err != nil {
		t.Error(err)
	}
	if _, err := m.Run(t.Context(), Script{Name: "bad", Bound: time.Minute}); err == nil || err.Error() != "bad ended with exit code 3 (why)" {
		t.Errorf("got %v", err)
	}
}

// TestValuesReachScript passes values of a configuration to a script through the shells
// of the instance.
func TestValuesReachScript(t *testing.T) {
	values := []string{
		"", "two words", "; touch evil", "$(touch evil)", "`touch evil`", "${HOME}", "a'; touch evil; '", `"`, `\`, "a\nb", "-n", "--", "-x=$(touch evil)",
		"*", "~", "#no", "a&b", "a|b", "a>evil", "a=b", "é☃", "!history", "%s%n",
	}
	local := shell{&packersdk.MockCommunicator{}, t.TempDir()}
	script := "printf '%s\\n' \"@fact secret $SECRET\" \"@fact count $#\"\nfor v in \"$VALUE\" \"$@\"; do printf '@fact value %s\\n' \"$(printf %s \"$v\" | tr '\\n' ' ')\"; done\necho @ok\n"
	m, err := New(t.Context(), local, Settings{Scripts: fstest.MapFS{"values.sh": {Data: []byte(script)}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range values {
		secret := strings.ReplaceAll(value, "\n", "")
		a, err := m.Run(t.Context(), Script{Name: "values", Args: append([]string{value}, values...), Env: map[string]string{"VALUE": value}, Secret: secret, Bound: time.Minute})
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		if got, want := a.Fact("count"), strconv.Itoa(1+len(values)); got != want {
			t.Errorf("%q: got %s arguments, want %s", value, got, want)
		}
		if got := a.Fact("secret"); got != strings.TrimSpace(secret) {
			t.Errorf("got the secret %q, want %q", got, secret)
		}
		for i, want := range append([]string{value, value}, values...) {
			if got := a.Facts("value")[i]; got != strings.TrimSpace(strings.ReplaceAll(want, "\n", " ")) {
				t.Errorf("value %d: got %q, want %q", i, got, want)
			}
		}
		for _, dir := range []string{local.tmp, "."} {
			if _, err := os.Stat(filepath.Join(dir, "evil")); err == nil {
				t.Fatalf("%q: the shell ran the value", value)
			}
		}
	}
}

// TestSecretIsInNoFile: a script's secret is in no command and in no file on the instance.
func TestSecretIsInNoFile(t *testing.T) {
	const secret = "stratum://wallet:planted@pool"
	local := shell{&packersdk.MockCommunicator{}, t.TempDir()}
	script := "[ \"$SECRET\" = " + secret + " ] && ! grep -rq 'plante[d]@' \"$TMPDIR\" && ! grep -q 'plante[d]' /proc/$PPID/cmdline && echo @ok\n"
	s := Script{Name: "secret", Secret: secret, Bound: time.Minute}
	m, err := New(t.Context(), local, Settings{Scripts: fstest.MapFS{"secret.sh": {Data: []byte(strings.Replace(script, secret, "\"$(printf %s%s stratum://wallet:planted '@pool')\"", 1))}}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(m.command(s), "planted") {
		t.Error("the command contains the secret")
	}
	if _, err := m.Run(t.Context(), s); err != nil {
		t.Error(err)
	}
}
