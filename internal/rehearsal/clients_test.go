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

// The clients are independent of this project: boto3 with botocore's models, and the
// AWS CLI.

// startServer starts a server and returns the environment of its clients.
func startServer(t *testing.T, cfg Config) (*Server, *Session, []string) {
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

// runClient runs a program and returns its output.
func runClient(t *testing.T, env []string, name string, args ...string) string {
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

func requireProgram(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: needs %s: %v %s", name, err, out)
	}
}

func TestBoto3(t *testing.T) {
	for _, script := range []string{"client_ec2.py", "client_s3.py", "client_ssm.py", "client_iam.py", "client_groups.py", "client_signatures.py"} {
		t.Run(script, func(t *testing.T) {
			server := checkResponses(t, filepath.Join("testdata", script), Config{Pace: pace.Instant})
			if left := server.Inventory(); len(left) != 0 {
				t.Errorf("resources left: %v", left)
			}
		})
	}
}

// checkResponses runs a script against a server, and validates every response with
// botocore's models.
func checkResponses(t *testing.T, script string, cfg Config) *Server {
	t.Helper()
	requireProgram(t, "python3", "-c", "import boto3, botocore")
	file := filepath.Join(t.TempDir(), "responses")
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
	server, _, env := startServer(t, cfg)
	if output := runClient(t, env, "python3", script); !strings.Contains(output, "passed") {
		t.Errorf("the script ended early:\n%s", output)
	}
	t.Log(runClient(t, env, "python3", "testdata/shapes.py", file))
	return server
}

func TestAWSCLI(t *testing.T) {
	requireProgram(t, "aws", "--version")
	_, s, env := startServer(t, Config{Pace: pace.Instant})
	output := runClient(t, env, "aws", "ec2", "describe-images", "--endpoint-url", s.Endpoint, "--owners", "099720109477",
		"--filters", "Name=name,Values=*noble*arm64*", "--query", "sort_by(Images,&CreationDate)[-1].Name", "--output", "text")
	if want := "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20260115\n"; output != want {
		t.Errorf("the CLI printed %q, want %q", output, want)
	}
}
