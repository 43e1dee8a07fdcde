// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/crypto/ssh"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// minesJob builds the image. It also keeps the identity of the build's instance.
const minesJob = `
variable "source" { type = string }
source "ethminer-ami" "x" {
  rehearsal       = true
  rehearsal_state = "state"
  region          = "eu-central-1"
  ami_name        = "mines"
}
build {
  sources = ["source.ethminer-ami.x"]
  provisioner "shell" {
    inline = ["cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub ~/.ssh/authorized_keys | sudo tee /usr/local/share/of-the-build"]
  }
  provisioner "ethminer-gpu" {
    source             = var.source
    device             = "cpu"
    benchmark_block    = 1
    benchmark_warmup   = "1s"
    benchmark_duration = "2s"
  }
}
`

var (
	builder  = regexp.MustCompile(`Instance (i-[0-9a-f]+) is starting`)
	baked    = regexp.MustCompile(`eu-central-1: (ami-[0-9a-f]+)`)
	positive = regexp.MustCompile(`- cp0 [0-9.]*[1-9]`) // the rate of a device, in a status line
)

// scriptUserData writes the configuration and starts the service, as users' own scripts do.
const scriptUserData = `#!/bin/sh
set -eu
umask 077
mkdir -p /etc/ethminer
cat >/etc/ethminer/ethminer.conf <<'EOF'
ETHMINER_ARGS="--cpu -t 1 -M 1 --display-interval 1"
EOF
systemctl start ethminer.service
`

// templateUserData returns the user data of the example's template with values in place
// of its parameters, and further lines of fleet.conf.
func templateUserData(t *testing.T, values map[string]string, more ...string) string {
	t.Helper()
	_, script, found := strings.Cut(readTemplate(t, templates[0]), "Fn::Base64: !Sub |\n")
	script, _, ended := strings.Cut(script, "\n\n")
	if !found || !ended {
		t.Fatal("the template has another layout")
	}
	indent := script[:len(script)-len(strings.TrimLeft(script, " "))]
	var lines []string
	for line := range strings.SplitSeq(script, "\n") {
		lines = append(lines, strings.TrimPrefix(line, indent))
	}
	last := lines[len(lines)-1]
	for _, line := range more {
		lines = append(lines, last[:len(last)-len(strings.TrimLeft(last, " "))]+line)
	}
	text := strings.Join(lines, "\n") + "\n"
	for name, value := range values {
		if !strings.Contains(text, "${"+name+"}") {
			t.Errorf("the user data does not use the parameter %s", name)
		}
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	if strings.Contains(text, "${") {
		t.Fatalf("the user data has parameters without a value:\n%s", text)
	}
	return text
}

// minerInstance is an instance of the image.
type minerInstance struct {
	id      string
	client  *ssh.Client
	hostKey string
}

// run runs a command, and returns its output without the last line end.
func (m minerInstance) run(t *testing.T, command string) string {
	t.Helper()
	session, err := m.client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	out, err := session.CombinedOutput(command)
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", command, err, out, m.journal())
	}
	return strings.TrimSpace(string(out))
}

// journal returns what the service printed.
func (m minerInstance) journal() string {
	session, err := m.client.NewSession()
	if err != nil {
		return err.Error()
	}
	defer func() { _ = session.Close() }()
	out, _ := session.CombinedOutput("sudo journalctl -u 'ethminer*' --no-pager -n 40; sudo tail -n 20 /var/log/cloud-init-output.log") // for an error
	return string(out)
}

// TestImageMines launches two instances from an image that the rehearsal has built. Each
// mines by its user data alone, a script or that of the template, and shares no identity
// with the other or with the build. The template's also mines for its worker at the pool,
// and reports to AWS.
func TestImageMines(t *testing.T) {
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
	serve(t, build, work, env, "--latency", stackLatency)
	said, err := run(packer, "build", "-var", "source="+source, "job.pkr.hcl")
	built, image := builder.FindStringSubmatch(said), baked.FindStringSubmatch(said)
	if err != nil || built == nil || image == nil {
		t.Fatalf("%v\n%s", err, said)
	}

	session, err := rehearsal.Find(t.Context(), filepath.Join(work, "state"))
	if err != nil {
		t.Fatal(err)
	}
	fleet := startFleet(t, session)
	withRole := func(in *ec2.RunInstancesInput) {
		in.IamInstanceProfile = &types.IamInstanceProfileSpecification{Name: aws.String("miners")}
	}
	onSpot := func(in *ec2.RunInstancesInput) {
		in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
	}
	instances := append(launchInstances(t, session, image[1], "mines", scriptUserData, 1, withRole, onSpot),
		launchInstances(t, session, image[1], "fleet", fleet.userData(t), 1, withRole)...)
	keys := map[string]bool{}
	ids := map[string]bool{}
	for _, m := range instances {
		if state := m.run(t, "cloud-init status --wait"); !strings.HasSuffix(state, "status: done") {
			t.Errorf("%s: cloud-init: %s", m.id, state)
		}
		awaitMining(t, m)
		if id := m.run(t, "cloud-init query instance_id"); id != m.id || id == built[1] {
			t.Errorf("cloud-init has the instance id %s, want %s; the build's was %s", id, m.id, built[1])
		}
		machine := m.run(t, "cat /etc/machine-id")
		if len(machine) != 32 || ids[machine] {
			t.Errorf("%s: machine id %q is empty, or that of the other instance", m.id, machine)
		}
		if keys[m.hostKey] {
			t.Errorf("%s: the host key is that of the other instance", m.id)
		}
		ids[machine], keys[m.hostKey] = true, true
		ofBuild := m.run(t, "cat /usr/local/share/of-the-build") // machine id, host key, authorized key
		lines := strings.Split(ofBuild, "\n")
		if len(lines) != 3 {
			t.Fatalf("the identity of the build is %q", ofBuild)
		}
		for _, line := range lines {
			fields := strings.Fields(line) // of a key: type, key, comment
			word := fields[min(1, len(fields)-1)]
			if found := m.run(t, "sudo grep -rlF "+word+" /etc/machine-id /etc/ssh /root/.ssh /home || true"); found != "" {
				t.Errorf("%s: %q of the build is still in %s", m.id, line, found)
			}
		}
	}
	fleet.check(t, instances[1])
	fleet.checkFaults(t, instances[1])
	helpers := "sudo systemctl start ethminer-metrics ethminer-health ethminer-spot ethminer-signal; systemctl list-units --failed --no-legend 'ethminer*'"
	if failed := instances[0].run(t, helpers); failed != "" {
		t.Errorf("helpers fail without settings: %s", failed)
	}
	fleet.checkNotices(t, instances[0])
	terminate(t, session, instances[:1], "mines")
	terminate(t, session, instances[1:], "fleet")
	checkStack(t, session, image[1])
	if left, err := run("packer-plugin-ethminer", "rehearsal-aws", "inventory", "--state", "state", "--leaks"); err != nil {
		t.Errorf("got leftover resources: %v\n%s", err, left)
	}
}

// launchInstances launches instances of an image with a new key pair, and logs in.
func launchInstances(t *testing.T, session *rehearsal.Session, image, keyPair, userData string, count int32, change ...func(*ec2.RunInstancesInput)) (all []minerInstance) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	authorized, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	client := ec2.NewFromConfig(session.AWSConfig("eu-central-1"))
	if _, err := client.ImportKeyPair(t.Context(), &ec2.ImportKeyPairInput{KeyName: &keyPair, PublicKeyMaterial: ssh.MarshalAuthorizedKey(authorized)}); err != nil {
		t.Fatal(err)
	}
	if err := ec2.NewKeyPairExistsWaiter(client, func(o *ec2.KeyPairExistsWaiterOptions) { o.MinDelay = time.Second }).Wait(
		t.Context(), &ec2.DescribeKeyPairsInput{KeyNames: []string{keyPair}}, time.Minute); err != nil {
		t.Fatal(err)
	}
	request := &ec2.RunInstancesInput{
		ImageId: &image, InstanceType: "g4dn.xlarge", MinCount: &count, MaxCount: &count, KeyName: &keyPair,
		MetadataOptions: &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired},
		UserData:        aws.String(base64.StdEncoding.EncodeToString([]byte(userData))),
	}
	for _, c := range change {
		c(request)
	}
	launched, err := client.RunInstances(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range launched.Instances {
		id := *i.InstanceId
		input := &ec2.DescribeInstancesInput{InstanceIds: []string{id}}
		if err := ec2.NewInstanceRunningWaiter(client, func(o *ec2.InstanceRunningWaiterOptions) { o.MinDelay = time.Second }).Wait(t.Context(), input, 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		described, err := client.DescribeInstances(t.Context(), input)
		if err != nil {
			t.Fatal(err)
		}
		address := described.Reservations[0].Instances[0].PublicIpAddress
		if address == nil {
			t.Fatalf("%s has no public address", id)
		}
		m := minerInstance{id: id}
		m.client, err = ssh.Dial("tcp", net.JoinHostPort(*address, strconv.Itoa(session.SSHPort)), &ssh.ClientConfig{
			User: "ubuntu", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, Timeout: time.Minute,
			HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
				m.hostKey = string(key.Marshal())
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.client.Close() })
		all = append(all, m)
	}
	return all
}

// awaitMining waits until the service has printed a rate.
func awaitMining(t *testing.T, m minerInstance) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		if positive.MatchString(m.run(t, "sudo journalctl -u ethminer --no-pager")) {
			if state := m.run(t, "systemctl is-active ethminer"); state != "active" {
				t.Errorf("%s: the service is %s", m.id, state)
			}
			return
		}
	}
	t.Errorf("%s does not mine:\n%s", m.id, m.journal())
}

func terminate(t *testing.T, session *rehearsal.Session, instances []minerInstance, keyPair string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	client := ec2.NewFromConfig(session.AWSConfig("eu-central-1"))
	var ids []string
	for _, m := range instances {
		ids = append(ids, m.id)
	}
	if _, err := client.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}); err != nil {
		t.Fatal(err)
	}
	wait := ec2.NewInstanceTerminatedWaiter(client, func(o *ec2.InstanceTerminatedWaiterOptions) { o.MinDelay = time.Second })
	if err := wait.Wait(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids}, 5*time.Minute); err != nil {
		t.Error(err)
	}
	if _, err := client.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyName: &keyPair}); err != nil {
		t.Error(err)
	}
}
