// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// standIn is a miner that prints the rate RATE, and ends after END seconds.
const standIn = `#!/bin/sh
i=0
while [ $i -lt END ]; do
	printf ' m 16:39:%02d ethminer 0:00 A0 RATE Kh - cp0 RATE\n' $((i % 60))
	i=$((i + 1))
	sleep 1
done
`

func standInOf(rate, end string) string {
	return "sudo tee /usr/local/bin/ethminer >/dev/null <<'END_OF_MINER'\n" + strings.NewReplacer("RATE", rate, "END", end).Replace(standIn) + "END_OF_MINER\n" +
		`sudo sed -i 's/"hashrate_hs": .*,/"hashrate_hs": 10000,/' /etc/ethminer/benchmark.json`
}

// breakages are ways to break an image, with the verdict of its launch test.
var breakages = []struct {
	name, command string
	check         string   // the failed one; empty for an image that passes
	says          []string // parts of the reason
}{
	{"at the rate of its benchmark", standInOf("10.00", "99999"), "", nil},
	{"service disabled", "sudo systemctl disable ethminer.service", "service", []string{"ethminer.service is disabled", "does not start after a reboot"}},
	{"sandbox without the GPU", `sudo sed -i 's/^\[Service\]/&\nPrivateDevices=yes/' /etc/systemd/system/ethminer.service`, "service", []string{"ended before it mined"}},
	{"keys of the login user unused", `echo 'AuthorizedKeysFile /nonexistent/%u' | sudo tee /etc/ssh/sshd_config.d/00-broken.conf`, "login", []string{"unable to authenticate", "the keys of the login user"}},
	{"cloud-init broken", `printf 'bootcmd:\n- [false]\n' | sudo tee /etc/cloud/cloud.cfg.d/99-broken.cfg`, "cloud-init", []string{"status: error", "a module or the user data has failed"}},
	{"miner for another architecture", `printf '\267\000' | sudo dd of=/usr/local/bin/ethminer bs=1 seek=18 conv=notrunc`, "service", []string{"ended before it mined (exit code 203)", "built for another processor architecture"}},
	{"half the rate of its benchmark", standInOf("5.00", "99999"), "hash-rate", []string{"5.00 Kh/s", "the benchmark measured 10.00 Kh/s (-50.0 %)", "max_difference"}},
	{"full disk", `printf '[Unit]\nDefaultDependencies=no\nBefore=cloud-init-local.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c "mount -t tmpfs -o size=2m tmpfs /var/log; head -c 4m /dev/zero >/var/log/full || true"\n[Install]\nWantedBy=sysinit.target\n' | sudo tee /etc/systemd/system/fill.service; sudo systemctl enable fill`, "system", []string{"/var/log has 0 MB of free space", "the disk is full"}},
	{"service that dies after 20 s", standInOf("10.00", "20"), "service", []string{"after its first rate", "exit code 0"}},
}

// TestBrokenImages breaks copies of a good image, and tests all with `test-image`.
func TestBrokenImages(t *testing.T) {
	build, packer := os.Getenv("ETHMINER_BUILD"), os.Getenv("PACKER")
	if build == "" || packer == "" {
		t.Skip("SKIPPED: requires the plugin and Packer; run: make test")
	}
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: the sandbox requires root")
	}
	source, err := filepath.Abs("../example/miner")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	write(t, filepath.Join(work, "job.pkr.hcl"), minesJob)
	env := environment(build, packer, work)
	run := runner(build, work, env)
	serve(t, build, work, env)
	said, err := run(packer, "build", "-var", "source="+source, "job.pkr.hcl")
	image := baked.FindStringSubmatch(said)
	if err != nil || image == nil {
		t.Fatalf("%v\n%s", err, said)
	}
	session, err := rehearsal.Find(t.Context(), filepath.Join(work, "state"))
	if err != nil {
		t.Fatal(err)
	}
	client := ec2.NewFromConfig(session.AWSConfig("eu-central-1"))
	instances := launchInstances(t, session, image[1], "breaks", "", int32(len(breakages))) //nolint:gosec // a dozen
	args := []string{"test-image", "-json", "-rehearsal", "state", "-region", "eu-central-1", "-uptime", "25s", "-max-difference", "0.1", "-set", "ssh_handshake_attempts=3"}
	for i, b := range breakages {
		instances[i].run(t, b.command)
		instances[i].run(t, "sudo sync")
		out, err := client.CreateImage(t.Context(), &ec2.CreateImageInput{InstanceId: &instances[i].id, Name: aws.String(fmt.Sprintf("broken-%d", i)), NoReboot: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, *out.ImageId)
	}
	ids := args[len(args)-len(breakages):]
	// A new image may not be found by its id yet; a filter does not fail for that.
	ofIDs := &ec2.DescribeImagesInput{Filters: []types.Filter{{Name: aws.String("image-id"), Values: ids}}}
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Second) {
		found, err := client.DescribeImages(t.Context(), ofIDs)
		if err != nil || time.Now().After(end) {
			t.Fatalf("waiting for %d images: %v", len(ids), err)
		}
		available := 0
		for _, image := range found.Images {
			if image.State == types.ImageStateAvailable {
				available++
			}
		}
		if available == len(ids) {
			break
		}
	}
	terminate(t, session, instances, "breaks")

	command := exec.CommandContext(t.Context(), filepath.Join(build, "packer-plugin-ethminer"), args...)
	command.Dir, command.Env = work, env
	var talk strings.Builder
	command.Stderr = &talk
	text, err := command.Output()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("test-image ended with %v, want exit code 3", err)
	}
	var results []artifact.LaunchTest
	if err := json.Unmarshal(text, &results); err != nil || len(results) != len(breakages) {
		t.Fatalf("%v: got %d results\n%s\n%s", err, len(results), text, talk.String())
	}
	for i, b := range breakages {
		judgeBroken(t, b.name, b.check, b.says, results[i])
	}
	if t.Failed() {
		t.Log(talk.String())
	}
	found, err := client.DescribeImages(t.Context(), ofIDs)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range found.Images {
		at := indexOf(ids, *image.ImageId)
		if got, want := tagOf(image.Tags, "ethminer:launch-test"), results[at].Verdict+" "; !strings.HasPrefix(got, want) {
			t.Errorf("%s: the image's tag has %q, want %q at its beginning", breakages[at].name, got, want)
		}
	}
	if left, err := run("packer-plugin-ethminer", "rehearsal-aws", "inventory", "--state", "state", "--leaks"); err != nil {
		t.Errorf("got leftover resources: %v\n%s", err, left)
	}
}

func judgeBroken(t *testing.T, name, check string, says []string, r artifact.LaunchTest) {
	t.Helper()
	if check == "" {
		if r.Verdict != artifact.TestPassed || len(r.Checks) < 6 {
			t.Errorf("%s: %s: %s (%+v)", name, r.Verdict, r.Reason, r.Checks)
		}
		return
	}
	if r.Verdict != artifact.TestFailed || !strings.HasPrefix(r.Reason, check+": ") {
		t.Errorf("%s: %s: %s; want the check %s to fail", name, r.Verdict, r.Reason, check)
		return
	}
	for _, part := range says {
		if !strings.Contains(r.Reason, part) {
			t.Errorf("%s: the reason %q lacks %q", name, r.Reason, part)
		}
	}
	if r.BilledSeconds <= 0 || r.InstanceID == "" {
		t.Errorf("%s: billed %v s of %q", name, r.BilledSeconds, r.InstanceID)
	}
	evidence, err := os.ReadFile(r.Evidence)
	if err != nil || check != "login" && !strings.Contains(string(evidence), "cloud-init status --long") {
		t.Errorf("%s: the evidence is incomplete: %v\n%s", name, err, evidence)
	}
}

func tagOf(tags []types.Tag, key string) string {
	for _, tag := range tags {
		if aws.ToString(tag.Key) == key {
			return aws.ToString(tag.Value)
		}
	}
	return ""
}

func indexOf(list []string, want string) int {
	for i, s := range list {
		if s == want {
			return i
		}
	}
	return -1
}
