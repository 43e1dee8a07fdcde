// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	gossh "golang.org/x/crypto/ssh"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
)

// machineWorld returns a world whose instances accept SSH logins, and their port.
func machineWorld(t *testing.T) (*world, int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root: an instance is an overlay of the root file system")
	}
	host, err := instance.NewHost(t.TempDir(), instance.HostBase)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{aws: rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", Host: host})}
	t.Cleanup(func() {
		_ = w.aws.Close()
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return w, host.Port()
}

// machineBuilder prepares a build of one region that logs in to its instance.
func (w *world) machineBuilder(t *testing.T, port int) *Builder {
	t.Helper()
	b := new(Builder)
	_, _, err := b.Prepare(map[string]any{
		"rehearsal": true, "region": "eu-central-1", "ami_name": "baked", "ssh_username": "ubuntu",
		"temporary_key_pair_type": "ed25519", "ssh_port": port, "user_data": "#!/bin/sh\necho mine >/var/lib/mine\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	b.config.Comm.SSHDisableAgentForwarding = true
	b.config.TemporarySGSourcePublicIp = false
	b.config.TemporarySGSourceCidrs = []string{rehearsal.CallerIP + "/32"}
	b.connect = func(context.Context, packersdk.Ui) (*awsclient.Clients, error) {
		return awsclient.New(w.awsConfig(w), ""), nil
	}
	return b
}

func (w *world) listener() packersdk.Ui {
	return listener{Ui: &packersdk.BasicUi{Reader: strings.NewReader("")}, out: &w.ui}
}

// soon waits up to a minute for a condition and fails the test if it does not hold.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timeout waiting until %s", what)
		}
	}
}

// TestKilledBuildInstanceShutsDown: a build that is killed during provisioning cleans
// up nothing. Its instance shuts itself down, and its volume is deleted.
func TestKilledBuildInstanceShutsDown(t *testing.T) {
	w, port := machineWorld(t)
	b := w.machineBuilder(t, port)
	b.config.MaxBuildTime = 3 * time.Second // less than the option allows
	provisioning, dead := make(chan struct{}), make(chan struct{})
	hook := &packersdk.MockHook{RunFunc: func(context.Context) error {
		close(provisioning)
		<-dead // and never return
		select {}
	}}
	ended := make(chan error, 1)
	go func() {
		_, err := b.Run(context.Background(), w.listener(), hook)
		ended <- err
	}()
	select {
	case <-provisioning:
	case err := <-ended:
		t.Fatalf("%v\n%s", err, w.ui.String())
	case <-time.After(time.Minute):
		t.Fatalf("timeout waiting for provisioning:\n%s", w.ui.String())
	}
	close(dead)
	soon(t, "the instance is gone", func() bool {
		left := strings.Join(w.left(), "\n")
		return !strings.Contains(left, " instance ") && !strings.Contains(left, " volume ")
	})
	if n := w.aws.Calls()["eu-central-1"]["TerminateInstances"]; n != 0 {
		t.Errorf("got %d TerminateInstances calls, want 0", n)
	}
	if said := w.ui.String(); !strings.Contains(said, "the instance terminates 3s after its first boot") {
		t.Errorf("the output does not announce the shutdown:\n%s", said)
	}
}

// userDataRan is a provisioner that waits for the user data script, which runs
// concurrently with the login. An earlier image would lack its results.
type userDataRan struct{}

func (userDataRan) Run(ctx context.Context, _ string, ui packersdk.Ui, communicator packersdk.Communicator, _ interface{}) error {
	command := &packersdk.RemoteCmd{Command: "for i in $(seq 600); do test -s /var/lib/mine && exit; sleep 0.1; done; exit 1"}
	if err := command.RunWithUi(ctx, communicator, ui); err != nil {
		return err
	}
	if status := command.ExitStatus(); status != 0 {
		return fmt.Errorf("the user data did not run: exit status %d", status)
	}
	return nil
}

// TestImageHasNoShutdownTimer: an instance of the created image has no shutdown timer, but
// has the results of the user's own user data.
func TestImageHasNoShutdownTimer(t *testing.T) {
	w, port := machineWorld(t)
	artifact, err := w.machineBuilder(t, port).Run(t.Context(), w.listener(), userDataRan{})
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	_, image, _ := strings.Cut(artifact.Id(), ":")
	client := w.client("eu-central-1")
	key, err := client.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: aws.String("rig"), KeyType: types.KeyTypeEd25519})
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.RunInstances(t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String(image), InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), KeyName: key.KeyName,
	})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.ParsePrivateKey([]byte(aws.ToString(key.KeyMaterial)))
	if err != nil {
		t.Fatal(err)
	}
	var login *gossh.Client
	soon(t, "the instance accepts a login", func() bool {
		found, err := launch.Describe(t.Context(), client, aws.ToString(out.Instances[0].InstanceId))
		if err != nil || aws.ToString(found.PublicIpAddress) == "" {
			return false
		}
		login, err = gossh.Dial("tcp", net.JoinHostPort(*found.PublicIpAddress, strconv.Itoa(port)), &gossh.ClientConfig{
			User: "ubuntu", Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)}, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
		})
		return err == nil
	})
	defer func() { _ = login.Close() }()
	for command, want := range map[string]string{
		"cat /var/lib/mine":                               "mine\n",
		"systemctl is-active ethminer-deadman || true":    "inactive\n",
		"systemctl cat ethminer-deadman >&2 || echo none": "none\n",
		"sudo pgrep -f '[s]ystemctl.*poweroff' || true":   "",
		"sudo find / -xdev -name '*ethminer-dead*' -not -path '/proc/*' -not -path '/var/lib/cloud/instances/i-*'": "",
	} {
		session, err := login.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		got, err := session.Output(command)
		if err != nil {
			t.Errorf("%s: %v", command, err)
		}
		if string(got) != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}
