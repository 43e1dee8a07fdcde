// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var ami = regexp.MustCompile(`ami-[0-9a-f]{8,17}`)

// await FILE TEXT waits until a file that a background command writes contains the
// text.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: await FILE TEXT")
	}
	const limit = 2 * time.Minute // long enough for a loaded machine
	var content []byte
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		content, _ = os.ReadFile(ts.MkAbs(args[0]))
		if strings.Contains(string(content), args[1]) {
			return
		}
	}
	ts.Fatalf("%s does not contain %q after %s:\n%s", args[0], args[1], limit, content)
}

// interrupt FILE sends Ctrl-C to the process group whose leader's id is in the file.
// A terminal also signals the whole group, including Packer's wrapper and plugins.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: interrupt FILE")
	}
	signalGroup(ts, args[0], syscall.SIGINT)
}

// kill9 FILE kills that group immediately, like the loss of a machine.
func kill9(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: kill9 FILE")
	}
	signalGroup(ts, args[0], syscall.SIGKILL)
}

func signalGroup(ts *testscript.TestScript, file string, signal syscall.Signal) {
	leader, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(file)))
	ts.Check(err)
	ts.Check(syscall.Kill(-leader, signal))
}

// fault STATE JSON injects a fault into the rehearsal of a state folder.
func fault(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: fault STATE JSON")
	}
	var session struct {
		Endpoint string `json:"endpoint"`
		Secret   string `json:"secret_key"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0]+"/server.json")), &session))
	request, err := http.NewRequest(http.MethodPost, session.Endpoint+"/_rehearsal/faults", strings.NewReader(args[1]))
	ts.Check(err)
	request.Header.Set("X-Rehearsal-Secret", session.Secret)
	answer, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		ts.Fatalf("the rehearsal returns %s", answer.Status)
	}
}

// count N REGEXP FILE fails unless the file has N matches.
func count(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 || neg {
		ts.Fatalf("usage: count N REGEXP FILE")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	if got := len(pattern.FindAllString(ts.ReadFile(args[2]), -1)); got != want {
		ts.Fatalf("%s matches %q %d times, want %d", args[2], args[1], got, want)
	}
}
