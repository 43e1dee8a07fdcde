// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

//go:embed scripts
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
	user string // who has logged in
	root string // in front of every path that is installed to

	mayRoot bool // sudo may be used
	sudo    bool // root is had by sudo
	// env is what every script finds in its environment; only tests set it.
	env map[string]string
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
	// secrets are taken out of every line of output.
	secrets []string
	// lines gets every line of output that is not of the protocol.
	lines func(string)
}

// newMachine makes the scratch folder, or finds that of an earlier run that did
// not come to its end, and puts the shared scripts there.
func newMachine(ctx context.Context, comm packersdk.Communicator, root string, mayRoot bool) (*machine, error) {
	m := &machine{comm: comm, root: root, mayRoot: mayRoot}
	return m, m.connect(ctx)
}

// begin makes the folder. Its name is known beforehand, so that a second run
// finds it; it must not be another user's.
const begin = `d=${TMPDIR:-/tmp}/ethminer-gpu-$(id -u)
mkdir -m 700 "$d" 2>/dev/null
if [ ! -d "$d" ] || [ -L "$d" ] || [ ! -O "$d" ]; then
	echo "$d is not a folder of $(id -un)" >&2
	exit 1
fi
printf '@fact work %s\n@fact uid %s\n@fact user %s\n@ok\n' "$d" "$(id -u)" "$(id -un)"`

// connect is what a machine needs after each boot.
func (m *machine) connect(ctx context.Context) error {
	var out, diag bytes.Buffer
	status, err := m.start(ctx, begin, &out, &diag, nil)
	if err != nil {
		return fmt.Errorf("reaching the instance: %w", err)
	}
	begun := readAnswer(out.String())
	m.work, m.user = begun.fact("work"), begun.fact("user")
	if status != 0 || !begun.ok || !strings.HasPrefix(m.work, "/") {
		return fmt.Errorf("making a scratch folder on the instance: exit code %d: %s; expected a POSIX shell and a writable /tmp", status, strings.TrimSpace(diag.String()))
	}
	m.sudo = m.mayRoot && begun.fact("uid") != "0"
	for _, name := range []string{"lib", "run", "stop"} {
		if err := m.uploadScript(ctx, name); err != nil {
			return err
		}
	}
	return nil
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
		for _, secret := range s.secrets {
			line = strings.ReplaceAll(line, secret, "<secret>")
		}
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
		failure.remedy = "see that the instance is up and was not rebooted; run again, which goes on where this ended (max_retries of the provisioner, or the build again)"
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
	for _, env := range []map[string]string{m.env, s.env} {
		for _, key := range slices.Sorted(maps.Keys(env)) {
			words = append(words, key+"="+env[key])
		}
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

// scratch is a path under the folder for what must not come to the root volume.
func (m *machine) scratch(name string) string { return m.work + "/scratch/" + name }

// pidFile is one for root and one for the login user: neither writes the other's.
func (m *machine) pidFile(s script) string {
	if s.asRoot {
		return m.path(s.name + ".root.pid")
	}
	return m.path(s.name + ".pid")
}

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

// uploadOwn uploads one of the files under scripts, to the scratch folder itself.
func (m *machine) uploadOwn(ctx context.Context, file string) error {
	data, err := scripts.ReadFile("scripts/" + file)
	if err != nil {
		return err
	}
	return m.upload(ctx, m.path(path.Base(file)), bytes.NewReader(data))
}

// upload writes a file of the scratch folder; ctx ends the waiting for it.
func (m *machine) upload(ctx context.Context, to string, data io.Reader) error {
	done := make(chan error, 1)
	go func() { done <- m.comm.Upload(to, data, nil) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("uploading %s to the instance: %w", to, err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
