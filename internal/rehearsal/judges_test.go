// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// The judges are clients that know AWS and not us.

// judged starts a server for a judge and returns its environment.
func judged(t *testing.T, cfg Config) (*Server, *Session, []string) {
	t.Helper()
	server := New(cfg)
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	s := &Session{Endpoint: web.URL, AccessKey: server.cfg.AccessKey, SecretKey: server.cfg.SecretKey}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "AWS_DEFAULT_REGION=eu-central-1", "AWS_PAGER="}
	for _, line := range s.Environ() {
		if !strings.HasSuffix(line, "=") {
			env = append(env, line)
		}
	}
	return server, s, env
}

// judge runs a program, or skips where it is not to be had.
func judge(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func needs(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: needs %s: %v %s", name, err, out)
	}
}

func TestBoto3AndItsModels(t *testing.T) {
	for _, script := range []string{"judge.py", "judge_s3.py", "judge_ssm.py"} {
		t.Run(script, func(t *testing.T) {
			server := judgedByModels(t, filepath.Join("testdata", script), Config{Pace: pace.Instant})
			if left := server.Inventory(); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// judgedByModels lets a script drive a server, and botocore's models judge every
// answer.
func judgedByModels(t *testing.T, script string, cfg Config) *Server {
	t.Helper()
	needs(t, "python3", "-c", "import boto3, botocore")
	file := filepath.Join(t.TempDir(), "answers")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	var mu sync.Mutex
	cfg.Record = func(service, action string, status int, body []byte) {
		mu.Lock()
		defer mu.Unlock()
		if err := json.NewEncoder(out).Encode(map[string]any{"service": service, "action": action, "status": status, "body": string(body)}); err != nil {
			t.Error(err)
		}
	}
	server, _, env := judged(t, cfg)
	if said := judge(t, env, "python3", script); !strings.Contains(said, "judged") {
		t.Errorf("the judge ended early:\n%s", said)
	}
	t.Log(judge(t, env, "python3", "testdata/shapes.py", file))
	return server
}

func TestAWSCLI(t *testing.T) {
	needs(t, "aws", "--version")
	_, s, env := judged(t, Config{Pace: pace.Instant})
	said := judge(t, env, "aws", "ec2", "describe-images", "--endpoint-url", s.Endpoint, "--owners", "099720109477",
		"--filters", "Name=name,Values=*noble*arm64*", "--query", "sort_by(Images,&CreationDate)[-1].Name", "--output", "text")
	if want := "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20260115\n"; said != want {
		t.Errorf("the CLI says %q, expected %q", said, want)
	}
}
