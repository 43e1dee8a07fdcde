// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// TestMain adds the subcommands to the test binary, because Connect starts its
// server from the running executable.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "rehearsal-aws" {
		if first := os.Getenv(firstStarts); first != "" {
			if os.Mkdir(first, 0o700) != nil {
				time.Sleep(slowStart)
			}
		}
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// With firstStarts, the first server to create this folder starts at once, and every
// other one slowStart later, as on a busy machine.
const (
	firstStarts = "ETHMINER_TEST_FIRST_STARTS"
	slowStart   = time.Second
)

// owner starts a process that runs until it is killed.
func owner(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Skipf("SKIPPED: needs sleep: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func connect(t *testing.T, o rehearsal.Options) *rehearsal.Session {
	t.Helper()
	s, err := rehearsal.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if s, err := rehearsal.Find(ctx, o.StateDir); err == nil {
			if err := s.Stop(ctx, o.StateDir); err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

// ends waits until the server of a state folder has stopped.
func ends(t *testing.T, stateDir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, err := rehearsal.Find(ctx, stateDir); errors.Is(err, rehearsal.ErrNone) {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the server is still running")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestConcurrentConnectsShareOneServer(t *testing.T) {
	o := rehearsal.Options{StateDir: filepath.Join(t.TempDir(), "a", "state"), Instance: rehearsal.NoInstance, Latency: "instant", Owner: owner(t).Process.Pid}
	sessions := make([]*rehearsal.Session, 4)
	errs := make([]error, len(sessions))
	var wait sync.WaitGroup
	for n := range sessions {
		wait.Go(func() { sessions[n], errs[n] = rehearsal.Connect(t.Context(), o) })
	}
	wait.Wait()
	connect(t, o)
	for n, s := range sessions {
		if errs[n] != nil {
			t.Fatal(errs[n])
		}
		if *s != *sessions[0] {
			t.Errorf("connect %d: got %+v, want the first one's %+v", n, s, sessions[0])
		}
	}
	info, err := os.Stat(filepath.Join(o.StateDir, "server.json"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v of server.json", info.Mode())
	}
}

// A server that starts slowly does not replace one that was stopped meanwhile.
func TestSlowServerDoesNotFollowStoppedOne(t *testing.T) {
	t.Setenv(firstStarts, filepath.Join(t.TempDir(), "first"))
	o := rehearsal.Options{StateDir: t.TempDir(), Instance: rehearsal.NoInstance, Latency: "instant", Owner: owner(t).Process.Pid}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if _, err := rehearsal.Connect(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	s := connect(t, o)
	if err := s.Stop(t.Context(), o.StateDir); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * slowStart); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if s, err := rehearsal.Find(t.Context(), o.StateDir); err == nil {
			t.Fatalf("server %d started after the stop", s.PID)
		}
	}
}

func TestServerEndsWithItsLastOwner(t *testing.T) {
	first, second := owner(t), owner(t)
	o := rehearsal.Options{StateDir: t.TempDir(), Instance: rehearsal.NoInstance, Latency: "instant", Owner: first.Process.Pid}
	s := connect(t, o)
	o.Owner = second.Process.Pid
	if again := connect(t, o); again.PID != s.PID {
		t.Fatalf("got server %d for the second owner, want the first's %d", again.PID, s.PID)
	}
	kill := func(cmd *exec.Cmd) {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // its error is the kill
	}
	kill(first)
	time.Sleep(400 * time.Millisecond) // longer than the interval of the owner check
	if _, err := rehearsal.Find(t.Context(), o.StateDir); err != nil {
		t.Fatalf("the server ended while an owner was running: %v", err)
	}
	kill(second)
	ends(t, o.StateDir)
	// The server stops after the last response.
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(o.StateDir, "server.json")); os.IsNotExist(err) {
			return
		} else if time.Now().After(limit) {
			t.Fatalf("server.json still exists: %v", err)
		}
	}
}

func TestConnectReportsStartFailure(t *testing.T) {
	_, err := rehearsal.Connect(t.Context(), rehearsal.Options{StateDir: t.TempDir(), Instance: rehearsal.NoInstance, Owner: 1 << 30})
	if err == nil || !strings.Contains(err.Error(), "owner, process 1073741824") {
		t.Errorf("got %v", err)
	}
}

func TestConnectRejectsOtherInstanceKind(t *testing.T) {
	o := rehearsal.Options{StateDir: t.TempDir(), Instance: rehearsal.NoInstance, Owner: owner(t).Process.Pid}
	connect(t, o)
	o.Instance = rehearsal.Sandbox
	if _, err := rehearsal.Connect(t.Context(), o); err == nil || !strings.Contains(err.Error(), "rehearsal-aws stop --state") {
		t.Errorf("got %v", err)
	}
}

func TestInventoryListsLeaks(t *testing.T) {
	o := rehearsal.Options{StateDir: t.TempDir(), Instance: rehearsal.NoInstance, Latency: "instant", Owner: owner(t).Process.Pid}
	s := connect(t, o)
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(t, "rehearsal-aws", append(args, "--state", o.StateDir), streams{out: &out, err: &errs}); code != want {
			t.Fatalf("%v: exit code %d, expected %d: %s", args, code, want, errs.String())
		}
		return out.String()
	}
	if out := run(exitOK, "inventory", "-o", "json", "--leaks"); strings.TrimSpace(out) != "{}" {
		t.Errorf("got leaks %s on a new server", out)
	}
	client := sdk.NewFromConfig(s.AWSConfig("eu-west-1"))
	if _, err := client.CreateKeyPair(t.Context(), &sdk.CreateKeyPairInput{KeyName: aws.String("left")}); err != nil {
		t.Fatal(err)
	}
	var leaks map[string][]struct{ Kind, Name string }
	if err := json.Unmarshal([]byte(run(exitProblem, "inventory", "--leaks", "-o", "json")), &leaks); err != nil {
		t.Fatal(err)
	}
	if l := leaks["eu-west-1"]; len(leaks) != 1 || len(l) != 1 || l[0].Kind != "key-pair" || l[0].Name != "left" {
		t.Errorf("got leaks %v", leaks)
	}
	if out := run(exitOK, "inventory"); !regexp.MustCompile(`^REGION +KIND +ID +STATE +NAME\neu-west-1 +key-pair +key-[0-9a-f]+ +left\n$`).MatchString(out) {
		t.Errorf("got table\n%s", out)
	}
	if out := run(exitOK, "env"); !strings.Contains(out, "export AWS_ENDPOINT_URL='"+s.Endpoint+"'\n") || !strings.Contains(out, "unset AWS_PROFILE\n") {
		t.Errorf("got env output %s", out)
	}
	run(exitOK, "stop")
	run(exitOK, "stop") // idempotent
	run(exitError, "inventory")
}

// TestWithoutServer: without a running server, the user is informed, and the printed
// environment does not reach a real account.
func TestWithoutServer(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		verb string
		code int
		out  []string
		err  []string
	}{
		{"env", exitError, []string{"export AWS_ENDPOINT_URL='http://127.0.0.1:1'\n", "export AWS_ACCESS_KEY_ID='none'\n", "export AWS_EC2_METADATA_DISABLED='true'\n", "unset AWS_PROFILE\n"},
			[]string{"no rehearsal is running", "stops with Packer", "rehearsal-aws serve --state " + dir}},
		{"inventory", exitError, nil, []string{"rehearsal-aws serve --state " + dir}},
		{"stop", exitOK, nil, []string{"no rehearsal is running for the state folder " + dir}},
	} {
		var out, errs bytes.Buffer
		if code := run(t, "rehearsal-aws", []string{tt.verb, "--state", dir}, streams{out: &out, err: &errs}); code != tt.code {
			t.Errorf("%s: exit code %d, expected %d", tt.verb, code, tt.code)
		}
		for _, want := range tt.out {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: got stdout\n%s\nwant %q", tt.verb, &out, want)
			}
		}
		for _, want := range tt.err {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: got stderr\n%s\nwant %q", tt.verb, &errs, want)
			}
		}
		if len(tt.out) == 0 && out.Len() > 0 {
			t.Errorf("%s: got stdout %s", tt.verb, &out)
		}
	}
}

// TestInterrupt: Ctrl-C reaches the whole process group. A server with an owner keeps
// running for the owner's clean-up, and a server without an owner stops.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: needs a system that can send an interrupt to one process")
	}
	for _, owned := range []bool{true, false} {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "rehearsal-aws", "serve", "--state", dir, "--instance", rehearsal.NoInstance, "--latency", "instant")
		if owned {
			cmd.Args = append(cmd.Args, "--owner", strconv.Itoa(owner(t).Process.Pid))
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		for tries := 0; ; tries++ {
			if _, err := rehearsal.Find(t.Context(), dir); err == nil {
				break
			} else if tries == 1000 {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		signal := func(s os.Signal) {
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		signal(os.Interrupt)
		if owned {
			time.Sleep(400 * time.Millisecond) // longer than a server takes to end
			if _, err := rehearsal.Find(t.Context(), dir); err != nil {
				t.Fatalf("the interrupt ended the server: %v", err)
			}
			signal(syscall.SIGTERM)
		}
		ends(t, dir)
		if err := cmd.Wait(); err != nil {
			t.Errorf("owned %v: the server ended with %v", owned, err)
		}
	}
}

func TestRehearsalUsage(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"serve", "--latency", "slow"}, {"serve", "--instance", "real"}, {"inventory", "more"}, {"stop", "--nonsense"}} {
		var out, errs bytes.Buffer
		if code := run(t, "rehearsal-aws", args, streams{out: &out, err: &errs}); code != exitUsage || errs.Len() == 0 {
			t.Errorf("%v: exit code %d, %q", args, code, errs.String())
		}
	}
}
