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

// TestMain makes the test's own binary know the subcommands, since Connect
// starts its server from the running executable.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "rehearsal-aws" {
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// owner starts a process that does nothing but live until it is killed.
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

// ends waits for the server of a state folder to be gone.
func ends(t *testing.T, stateDir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, err := rehearsal.Find(ctx, stateDir); errors.Is(err, rehearsal.ErrNone) {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the server lives on")
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
			t.Errorf("connect %d got %+v, the first one %+v", n, s, sessions[0])
		}
	}
	info, err := os.Stat(filepath.Join(o.StateDir, "server.json"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("server.json has mode %v", info.Mode())
	}
}

func TestServerEndsWithItsLastOwner(t *testing.T) {
	first, second := owner(t), owner(t)
	o := rehearsal.Options{StateDir: t.TempDir(), Instance: rehearsal.NoInstance, Latency: "instant", Owner: first.Process.Pid}
	s := connect(t, o)
	o.Owner = second.Process.Pid
	if again := connect(t, o); again.PID != s.PID {
		t.Fatalf("the second owner got server %d, the first %d", again.PID, s.PID)
	}
	kill := func(cmd *exec.Cmd) {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // says that it was killed
	}
	kill(first)
	time.Sleep(400 * time.Millisecond) // longer than an owner is looked for
	if _, err := rehearsal.Find(t.Context(), o.StateDir); err != nil {
		t.Fatalf("the server ended while an owner lived: %v", err)
	}
	kill(second)
	ends(t, o.StateDir)
	// It goes after the last answer.
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(o.StateDir, "server.json")); os.IsNotExist(err) {
			return
		} else if time.Now().After(limit) {
			t.Fatalf("server.json is still there: %v", err)
		}
	}
}

func TestConnectSaysWhyTheServerDidNotStart(t *testing.T) {
	_, err := rehearsal.Connect(t.Context(), rehearsal.Options{StateDir: t.TempDir(), Instance: rehearsal.NoInstance, Owner: 1 << 30})
	if err == nil || !strings.Contains(err.Error(), "owner, process 1073741824") {
		t.Errorf("got %v", err)
	}
}

func TestConnectRefusesAnotherKindOfInstance(t *testing.T) {
	o := rehearsal.Options{StateDir: t.TempDir(), Instance: rehearsal.NoInstance, Owner: owner(t).Process.Pid}
	connect(t, o)
	o.Instance = rehearsal.Sandbox
	if _, err := rehearsal.Connect(t.Context(), o); err == nil || !strings.Contains(err.Error(), "rehearsal-aws stop --state") {
		t.Errorf("got %v", err)
	}
}

func TestInventoryTellsLeaks(t *testing.T) {
	o := rehearsal.Options{StateDir: t.TempDir(), Instance: rehearsal.NoInstance, Latency: "instant", Owner: owner(t).Process.Pid}
	s := connect(t, o)
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := rehearsalAWS(t.Context(), append(args, "--state", o.StateDir), streams{out: &out, err: &errs}); code != want {
			t.Fatalf("%v: exit code %d, expected %d: %s", args, code, want, errs.String())
		}
		return out.String()
	}
	if out := run(exitOK, "inventory", "--leaks"); strings.TrimSpace(out) != "{}" {
		t.Errorf("a new server has %s", out)
	}
	client := sdk.NewFromConfig(s.AWSConfig("eu-west-1"))
	if _, err := client.CreateKeyPair(t.Context(), &sdk.CreateKeyPairInput{KeyName: aws.String("left")}); err != nil {
		t.Fatal(err)
	}
	var leaks map[string][]struct{ Kind, Name string }
	if err := json.Unmarshal([]byte(run(exitError, "inventory", "--leaks")), &leaks); err != nil {
		t.Fatal(err)
	}
	if l := leaks["eu-west-1"]; len(leaks) != 1 || len(l) != 1 || l[0].Kind != "key-pair" || l[0].Name != "left" {
		t.Errorf("leaks are %v", leaks)
	}
	if out := run(exitOK, "env"); !strings.Contains(out, "export AWS_ENDPOINT_URL='"+s.Endpoint+"'\n") || !strings.Contains(out, "unset AWS_PROFILE\n") {
		t.Errorf("env prints %s", out)
	}
	run(exitOK, "stop")
	run(exitOK, "stop") // once more does no harm
	run(exitError, "inventory")
}

// Where no server runs, the user is told; what asks for the environment of one
// must not go on to a real account.
func TestNothingRuns(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		verb string
		code int
		out  []string
		err  []string
	}{
		{"env", exitError, []string{"export AWS_ENDPOINT_URL='http://127.0.0.1:1'\n", "export AWS_ACCESS_KEY_ID='none'\n", "export AWS_EC2_METADATA_DISABLED='true'\n", "unset AWS_PROFILE\n"},
			[]string{"no rehearsal is running", "ends with Packer", "rehearsal-aws serve --state " + dir}},
		{"inventory", exitError, nil, []string{"rehearsal-aws serve --state " + dir}},
		{"stop", exitOK, nil, []string{"no rehearsal runs for the state folder " + dir}},
	} {
		var out, errs bytes.Buffer
		if code := rehearsalAWS(t.Context(), []string{tt.verb, "--state", dir}, streams{out: &out, err: &errs}); code != tt.code {
			t.Errorf("%s: exit code %d, expected %d", tt.verb, code, tt.code)
		}
		for _, want := range tt.out {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s prints\n%s\nexpected %q", tt.verb, &out, want)
			}
		}
		for _, want := range tt.err {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s says\n%s\nexpected %q", tt.verb, &errs, want)
			}
		}
		if len(tt.out) == 0 && out.Len() > 0 {
			t.Errorf("%s prints %s", tt.verb, &out)
		}
	}
}

// Ctrl-C reaches the whole process group: a server with an owner lives on for
// the owner's clean-up, one without ends.
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
				t.Fatalf("the server ended with an interrupt: %v", err)
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
		if code := rehearsalAWS(t.Context(), args, streams{out: &out, err: &errs}); code != exitUsage || errs.Len() == 0 {
			t.Errorf("%v: exit code %d, %q", args, code, errs.String())
		}
	}
}
