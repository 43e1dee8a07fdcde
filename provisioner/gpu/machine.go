// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

//go:embed scripts/*.sh scripts/ethminer.service
var scripts embed.FS

// stopPatience is how long a cancelled phase waits for its remote end.
const stopPatience = 1500 * time.Millisecond

// stopBound is how long a stop may take; the instance ends what is left by
// each script's own bound.
const stopBound = 30 * time.Second

// machine is the instance, reached through Packer's communicator only. Scripts
// run in a scratch folder of their own, each as a process group that a stop
// reaches and under a bound of its own on the instance, so that nothing
// outlives a lost connection for long.
type machine struct {
	comm packersdk.Communicator
	work string // scratch folder, made by the login user
	root string // in front of every path that is installed to
	sudo bool   // root is had by sudo
}

// script is one run of a script.
type script struct {
	// name is the file's, without .sh.
	name string
	args []string
	// env is what the script finds in its environment.
	env map[string]string
	// asRoot runs it by sudo where the login user is not root.
	asRoot bool
	// bound is after how long the instance itself ends the script.
	bound time.Duration
	// lines gets every line of output that is not of the protocol.
	lines func(string)
}

// answer is what a script has said. A line "@fact KEY VALUE" on its standard
// output adds a fact; "@ok" must be there for the script to have succeeded,
// since a lost connection can look like exit code 0; "@fail TEXT" is the reason
// of a failure and "@remedy TEXT" what to do.
type answer struct {
	mu     sync.Mutex
	facts  map[string][]string
	ok     bool
	fail   []string
	remedy []string
}

func (a *answer) read(line string) (protocol bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "@ok":
		a.ok = true
	case "@fact":
		key, value, _ := strings.Cut(rest, " ")
		a.facts[key] = append(a.facts[key], strings.TrimSpace(value))
	case "@fail":
		a.fail = append(a.fail, rest)
	case "@remedy":
		a.remedy = append(a.remedy, rest)
	default:
		return false
	}
	return true
}

// fact is the last value of a key, or "".
func (a *answer) fact(key string) string {
	if values := a.facts[key]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// errScript is how a script failed, or that it was cut off.
type errScript struct {
	reason, remedy string
	last           string // line of the output, if it says more
	log            string // local file with the output, "" when there is none
	lost           bool   // it was the connection that ended
}

func (e *errScript) Error() string {
	text := e.reason
	if e.last != "" {
		text += " (" + e.last + ")"
	}
	if e.remedy != "" {
		text += "; " + e.remedy
	}
	if e.log != "" {
		text += "; the whole output is in " + e.log
	}
	return text
}

// newMachine makes the scratch folder and puts the shared scripts there.
func newMachine(ctx context.Context, comm packersdk.Communicator, root string, mayRoot bool) (*machine, error) {
	m := &machine{comm: comm, root: root}
	var out, diag bytes.Buffer
	const begin = `d=$(mktemp -d "${TMPDIR:-/tmp}/ethminer-gpu.XXXXXXXX") && printf '@fact work %s\n@fact uid %s\n@ok\n' "$d" "$(id -u)"`
	status, err := m.start(ctx, begin, &out, &diag, nil)
	if err != nil {
		return nil, fmt.Errorf("reaching the instance: %w", err)
	}
	begun := readAnswer(out.String())
	m.work = begun.fact("work")
	if status != 0 || !begun.ok || !strings.HasPrefix(m.work, "/") {
		return nil, fmt.Errorf("making a scratch folder on the instance: exit code %d: %s; expected a POSIX shell with mktemp and a writable /tmp", status, strings.TrimSpace(diag.String()))
	}
	m.sudo = mayRoot && begun.fact("uid") != "0"
	for _, name := range []string{"lib", "run", "stop"} {
		if err := m.uploadScript(ctx, name); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func readAnswer(text string) *answer {
	a := &answer{facts: map[string][]string{}}
	lines := miner.Lines{Each: func(line string) { a.read(line) }}
	_, _ = io.WriteString(&lines, text)
	lines.Flush()
	return a
}

// run uploads a script and runs it to its end. The error is an *errScript when
// the script itself failed, ctx's when that ended first, else the connection's.
// What the script printed is kept in a local file when it fails.
func (m *machine) run(ctx context.Context, s script) (*answer, error) {
	if err := m.uploadScript(ctx, s.name); err != nil {
		return nil, err
	}
	log, err := newLog(s.name)
	if err != nil {
		return nil, err
	}
	defer log.close()

	a := &answer{facts: map[string][]string{}}
	each := func(line string) {
		if a.read(line) {
			return
		}
		log.line(line)
		if s.lines != nil {
			s.lines(line)
		}
	}
	// Standard output and error are two streams; each writes whole lines.
	var mu sync.Mutex
	locked := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		each(line)
	}
	out, diag := &miner.Lines{Each: locked}, &miner.Lines{Each: locked}
	status, err := m.start(ctx, m.command(s), out, diag, func() { m.stop(s, "TERM", "KILL") })
	if err != nil {
		return nil, err
	}
	out.Flush()
	diag.Flush()
	if status == 0 && a.ok {
		return a, nil
	}
	return a, m.explain(s, a, status, log)
}

// explain turns an exit without "@ok" into an error.
func (m *machine) explain(s script, a *answer, status int, log *localLog) error {
	failure := &errScript{
		reason: strings.Join(a.fail, "\n"),
		remedy: strings.Join(a.remedy, "; "),
		log:    log.keep(),
	}
	switch {
	case failure.reason != "":
		failure.last = log.recent
	case status == packersdk.CmdDisconnect || status == 0 || status == 123:
		failure.lost = true
		failure.reason = "the connection to the instance was lost while " + s.name + " ran"
		failure.remedy = "see that the instance is up and was not rebooted, and run the build again"
	case status == 124 || status == 137:
		failure.reason = fmt.Sprintf("%s did not end within %s", s.name, s.bound)
	default:
		failure.reason = fmt.Sprintf("%s ended with exit code %d", s.name, status)
		failure.last = log.recent
	}
	return failure
}

// command is the shell command that runs a script on the instance.
func (m *machine) command(s script) string {
	words := m.as(s.asRoot)
	words = append(words, "env", "LC_ALL=C", "ETHMINER_ROOT="+m.root, "WORK="+m.work)
	for _, key := range slices.Sorted(maps.Keys(s.env)) {
		words = append(words, key+"="+s.env[key])
	}
	words = append(words, "sh", m.path("run.sh"), m.pidFile(s), strconv.Itoa(max(1, int(s.bound.Seconds()))), m.path(s.name+".sh"))
	return commandLine(append(words, s.args...)...)
}

func (m *machine) as(root bool) []string {
	if root && m.sudo {
		return []string{"sudo", "-n"}
	}
	return nil
}

func (m *machine) path(name string) string { return m.work + "/" + name }
func (m *machine) pidFile(s script) string { return m.path(s.name + ".pid") }

// start runs a command and waits for its exit code. When ctx ends first, it
// calls stop, waits a moment for the end, and returns ctx's cause.
func (m *machine) start(ctx context.Context, command string, out, diag io.Writer, stop func()) (int, error) {
	cmd := &packersdk.RemoteCmd{Command: command, Stdout: out, Stderr: diag}
	type outcome struct {
		status int
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		// Not ctx: a communicator that honours it would drop the session
		// and leave the process.
		if err := m.comm.Start(context.WithoutCancel(ctx), cmd); err != nil {
			done <- outcome{err: fmt.Errorf("running a command on the instance: %w", err)}
			return
		}
		done <- outcome{status: cmd.Wait()}
	}()
	select {
	case o := <-done:
		return o.status, o.err
	case <-ctx.Done():
	}
	if stop != nil {
		go stop()
		select {
		case <-done:
		case <-time.After(stopPatience):
		}
	}
	return 0, context.Cause(ctx)
}

// stop has the instance end a script's process group with each signal in turn,
// until it is gone.
func (m *machine) stop(s script, signals ...string) {
	words := append(m.as(s.asRoot), "sh", m.path("stop.sh"), m.pidFile(s))
	ctx, cancel := context.WithTimeout(context.Background(), stopBound)
	defer cancel()
	_, _ = m.start(ctx, commandLine(append(words, signals...)...), io.Discard, io.Discard, nil)
}

func (m *machine) uploadScript(ctx context.Context, name string) error {
	return m.uploadOwn(ctx, name+".sh")
}

// uploadOwn uploads one of the files under scripts.
func (m *machine) uploadOwn(ctx context.Context, file string) error {
	data, err := scripts.ReadFile("scripts/" + file)
	if err != nil {
		return err
	}
	return m.upload(ctx, m.path(file), bytes.NewReader(data))
}

// upload writes a file of the scratch folder; ctx ends the waiting for it.
func (m *machine) upload(ctx context.Context, path string, data io.Reader) error {
	done := make(chan error, 1)
	go func() { done <- m.comm.Upload(path, data, nil) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("uploading %s to the instance: %w", path, err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// localLog is the output of one script in a local temporary file.
type localLog struct {
	file   *os.File
	size   int
	recent string
	kept   bool
}

// maxLog bounds a log, in bytes, for a script that never stops printing.
const maxLog = 32 << 20

func newLog(name string) (*localLog, error) {
	file, err := os.CreateTemp("", "ethminer-gpu-"+name+"-*.log")
	if err != nil {
		return nil, fmt.Errorf("making a local log: %w", err)
	}
	return &localLog{file: file}, nil
}

func (l *localLog) line(text string) {
	l.recent = text
	if l.size += len(text) + 1; l.size <= maxLog {
		_, _ = io.WriteString(l.file, text+"\n")
	}
}

// keep leaves the file when something is in it and names it.
func (l *localLog) keep() string {
	if l.size == 0 {
		return ""
	}
	l.kept = true
	return l.file.Name()
}

func (l *localLog) close() {
	_ = l.file.Close()
	if !l.kept {
		_ = os.Remove(l.file.Name())
	}
}

// logFile is the local log that an error of run names, or "".
func logFile(err error) string {
	var failed *errScript
	if errors.As(err, &failed) {
		return failed.log
	}
	return ""
}
