// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launchtest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/redact"
)

// These steps belong to the plan of a launch test, not to that of a build.

// JudgeTest follows the launch. Its Cleanup decides a test that has not passed, and saves
// the evidence while the instance exists.
type JudgeTest struct{ ctx context.Context }

func (*JudgeTest) Facts() (needs, yields []Fact) { return facts(Instance), nil }

func (s *JudgeTest) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := BuildOf(state)
	s.ctx = ctx
	r := &b.test.result
	r.InstanceID, r.InstanceType, r.Market = b.Report.InstanceID, b.Report.InstanceType, b.Report.Market
	b.test.seen()
	return multistep.ActionContinue
}

func (s *JudgeTest) Cleanup(state multistep.StateBag) {
	b := BuildOf(state)
	r := &b.test.result
	if s.ctx == nil {
		return
	}
	if r.Verdict == "" {
		if cause := context.Cause(s.ctx); cause != nil && !errors.Is(cause, errTestTimeout) {
			return // the build has ended
		}
		err, _ := state.Get(KeyError).(error)
		r.Verdict, r.Reason = b.judge(s.ctx, state, err)
		if r.Verdict == artifact.TestFailed {
			r.Evidence = b.saveEvidence(state)
		}
	}
	ctx, cancel := cleanup.Context()
	defer cancel()
	if err := terminate(ctx, state); err != nil {
		log.Printf("[INFO] launch test: %s", err) // Launch reports it
	}
	r.BilledSeconds, r.CostUSD = b.Report.BilledSeconds, b.Report.CostUSD
	b.decided()
}

// judge returns the verdict of a test whose instance ran, but did not pass.
func (b *Build) judge(ctx context.Context, state multistep.StateBag, err error) (verdict, reason string) {
	var reclaimed *reclaimedError
	var failed *launchtest.CheckError
	_, loggedIn := state.GetOk(keyCommunicator)
	switch {
	case errors.As(b.lost, &reclaimed):
		return artifact.TestNotMade, b.lost.Error()
	case errors.As(err, &failed):
		b.test.result.Output = failed.Output
		return artifact.TestFailed, failed.Error()
	case b.lost != nil:
		return artifact.TestFailed, b.lost.Error()
	case !loggedIn:
		failed = &launchtest.CheckError{Check: launchtest.Login, Cause: "the build logged in to its own instance, so cleaning or a provisioner broke the login of new instances: " +
			"the keys of the login user, the host keys, sshd, or cloud-init, which installs the key at the first boot"}
		failed.Saw, _, _ = strings.Cut(cmp.Or(errorText(err), "no login within "+b.Config.LaunchTest.Timeout().String()), "\n")
		if _, why, long := strings.Cut(failed.Saw, "original error: "); long { // the SDK's advice is about another case
			failed.Saw = why
		}
		b.test.result.Checks = append(b.test.result.Checks, artifact.TestCheck{Name: failed.Check, Saw: failed.Saw})
		return artifact.TestFailed, failed.Error()
	case errors.Is(context.Cause(ctx), errTestTimeout):
		return artifact.TestFailed, fmt.Sprintf("not finished within %s (launch_test.timeout); %s", b.Config.LaunchTest.Timeout(), passedSoFar(b.test.result.Checks))
	}
	return artifact.TestFailed, cmp.Or(errorText(err), "the test ended without a result")
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func passedSoFar(checks []artifact.TestCheck) string {
	var names []string
	for _, c := range checks {
		if c.Passed {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return "no check had passed"
	}
	return "passed until then: " + strings.Join(names, ", ")
}

// saveEvidence saves the console's output and, over SSH, the journal and the state of
// cloud-init to a local file. It returns its name; empty if there is nothing to save.
func (b *Build) saveEvidence(state multistep.StateBag) string {
	ctx, cancel := cleanup.Context()
	defer cancel()
	var parts []string
	if text, err := b.console(ctx); err != nil {
		parts = append(parts, "The console's output is unknown: "+err.Error())
	} else {
		parts = append(parts, "Output of the console:\n"+cmp.Or(text, "(empty)"))
	}
	if comm, ok := state.Get(keyCommunicator).(packersdk.Communicator); ok {
		text, err := launchtest.Evidence(ctx, comm)
		if err != nil {
			text += "\n(incomplete: " + err.Error() + ")"
		}
		parts = append(parts, text)
	}
	f, err := os.CreateTemp("", "ethminer-launch-test-"+b.Clients.Region()+"-*.log")
	if err == nil {
		_, err = f.WriteString(redact.String(strings.Join(parts, "\n\n") + "\n"))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		log.Printf("[WARN] launch test: saving the evidence: %s", err)
		return ""
	}
	return f.Name()
}

// console returns the output of the instance's console. Types that are not of the Nitro
// system only have that of their last boot.
func (b *Build) console(ctx context.Context) (string, error) {
	client, in := b.Clients.EC2(b.Clients.Region()), &ec2.GetConsoleOutputInput{InstanceId: &b.Report.InstanceID, Latest: aws.Bool(true)}
	out, err := client.GetConsoleOutput(ctx, in)
	if err != nil {
		in.Latest = nil
		out, err = client.GetConsoleOutput(ctx, in)
	}
	if err != nil {
		return "", err
	}
	text, err := base64.StdEncoding.DecodeString(aws.ToString(out.Output))
	return string(text), err
}

// notLaunched decides a test whose instance never ran. EC2 says so if it cannot start an
// instance of the image.
func (b *Build) notLaunched(err error) {
	r := &b.test.result
	if r.Verdict == "" {
		r.Verdict, r.Reason = artifact.TestNotMade, cmp.Or(errorText(err), "no instance was launched")
		if ended := new(launch.EndedError); errors.As(err, &ended) && strings.HasPrefix(ended.Code, "Client.") {
			r.Verdict = artifact.TestFailed
		}
	}
	b.decided()
}

// MakeChecks makes the checks of a launch test on an instance.
type MakeChecks func(context.Context, packersdk.Communicator, launchtest.Plan) (launchtest.Seen, error)

// CheckLaunch makes the checks.
type CheckLaunch struct {
	noCleanup
	// Make makes the checks; nil for launchtest.Run, which needs a communicator.
	Make MakeChecks
}

func (CheckLaunch) Facts() (needs, yields []Fact) { return nil, nil }

func (s CheckLaunch) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := BuildOf(state)
	comm, _ := state.Get(keyCommunicator).(packersdk.Communicator)
	check := s.Make
	if check == nil {
		check = launchtest.Run
	}
	seen, err := check(ctx, comm, b.Config.LaunchTest.Plan())
	r := &b.test.result
	r.Checks, r.Hashrate, r.ExpectedHashrate = seen.Checks, float64(seen.Rate), float64(seen.Expected)
	if err != nil {
		return Halt(state, "%w", err)
	}
	r.Verdict = artifact.TestPassed
	return multistep.ActionContinue
}
