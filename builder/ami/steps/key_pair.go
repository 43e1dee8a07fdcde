// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/redact"
)

// KeyPair provides the SSH key: the user's, or a temporary key pair created
// by EC2.
//
// Only the response to CreateKeyPair contains the private key. If it is lost, the
// step creates another key pair under another name, and Cleanup deletes both.
//
// The key is no fact: the communicator and the launch take it from the communicator's
// configuration.
type KeyPair struct {
	DebugFile string // where to save the private key, empty for nowhere
	made      []cleanup.Entry
}

func (*KeyPair) Facts() (needs, yields []Fact) { return nil, nil }

func (s *KeyPair) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	comm := &b.Config.Comm
	switch {
	case comm.SSHPrivateKeyFile != "":
		ui.Say("Using existing SSH private key")
		key, err := comm.ReadSSHPrivateKeyFile()
		if err != nil {
			return Halt(state, "ssh_private_key_file: %w", err)
		}
		comm.SSHPrivateKey = key
		return multistep.ActionContinue
	case comm.SSHAgentAuth && comm.SSHKeyPairName == "":
		ui.Say("Using SSH Agent with key pair in Source AMI")
		return multistep.ActionContinue
	case comm.SSHAgentAuth:
		ui.Sayf("Using SSH Agent for existing key pair %s", comm.SSHKeyPairName)
		return multistep.ActionContinue
	case comm.SSHTemporaryKeyPairName == "":
		ui.Say("Not using temporary keypair")
		comm.SSHKeyPairName = ""
		return multistep.ActionContinue
	}
	ui.Sayf("Creating temporary keypair: %s", comm.SSHTemporaryKeyPairName)
	tags, err := awscommon.TagMap(b.Config.RunTags).EC2Tags(b.Config.Interpolation(), b.Clients.Region(), state)
	if err != nil {
		return Halt(state, "rendering the tags of the key pair: %w", err)
	}
	out, err := s.create(ctx, b, &ec2.CreateKeyPairInput{
		KeyType:           ec2types.KeyType(comm.SSHTemporaryKeyPairType),
		TagSpecifications: tags.TagSpecifications(ec2types.ResourceTypeKeyPair),
	}, ui.Sayf)
	if err != nil {
		return Halt(state, "creating temporary keypair: %w", err)
	}
	comm.SSHKeyPairName, comm.SSHPrivateKey = aws.ToString(out.KeyName), []byte(aws.ToString(out.KeyMaterial))
	redact.Add(string(comm.SSHPrivateKey))
	if s.DebugFile != "" {
		ui.Sayf("Saving key for debug purposes: %s", s.DebugFile)
		if err := saveKey(s.DebugFile, comm.SSHPrivateKey); err != nil {
			return Halt(state, "saving the debug key: %w", err)
		}
	}
	return multistep.ActionContinue
}

// saveKey writes a private key to a new file, which only its user can read. A file that
// is left of a killed build, or a link, would keep its own mode.
func saveKey(name string, key []byte) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // named after the build
	if err != nil {
		return err
	}
	_, err = f.Write(key)
	return errors.Join(err, f.Close())
}

// create creates the key pair, under another name if the response is lost. A
// cancel does not abort the request, as the id of the key pair would be lost.
func (s *KeyPair) create(ctx context.Context, b *Build, input *ec2.CreateKeyPairInput, say func(string, ...any)) (*ec2.CreateKeyPairOutput, error) {
	client := b.Clients.EC2(b.Clients.Region())
	name := b.Config.Comm.SSHTemporaryKeyPairName
	for try := 1; ; try++ {
		input.KeyName = aws.String(name)
		if try > 1 {
			input.KeyName = aws.String(fmt.Sprintf("%s-%d", name, try))
		}
		entry := cleanup.Entry{Kind: cleanup.KeyPair, Region: b.Clients.Region(), Name: aws.ToString(input.KeyName)}
		b.ledger.Add(entry)
		var out *ec2.CreateKeyPairOutput
		err := b.create(ctx, func(ctx context.Context) (err error) {
			out, err = client.CreateKeyPair(ctx, input, awsclient.OneTry)
			return err
		})
		if err == nil {
			entry.ID = aws.ToString(out.KeyPairId)
			b.ledger.Add(entry)
		}
		if lost := awsclient.IsUnanswered(err); err != nil && !lost {
			b.ledger.Strike(entry) // the request was refused
		} else {
			s.made = append(s.made, entry)
			if lost && try < lostResponses && ctx.Err() == nil {
				say("Creating another key pair, as the response to CreateKeyPair was lost (%s)", awsclient.Plain(err))
				continue
			}
		}
		if err == nil && ctx.Err() != nil {
			err = ctx.Err()
		}
		return out, err
	}
}

func (s *KeyPair) Cleanup(state multistep.StateBag) {
	if len(s.made) == 0 {
		return
	}
	b, ui := BuildOf(state), UIOf(state)
	ui.Say("Deleting temporary keypair...")
	b.removeTemporary(ui, s.made...)
	s.made = nil
	if s.DebugFile != "" {
		if err := os.Remove(s.DebugFile); err != nil && !os.IsNotExist(err) {
			ui.Errorf("removing the debug key: %s", err)
		}
	}
}
