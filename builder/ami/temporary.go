// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-amazon/common/clients"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ledger"
)

// temporaries is the client of packer-plugin-amazon's steps. They try a key
// pair and a security group again whatever EC2 answers, for up to two minutes;
// what a policy refuses is given up at once, and what therefore stays is left
// in the ledger, as the build's own steps do.
type temporaries struct {
	clients.Ec2Client
	ledger *ledger.Ledger
	region string
	ui     packersdk.Ui

	mu     sync.Mutex
	keys   map[string]string // ids of key pairs by their names
	giveUp func()            // ends the step that asked; set by stepKeyPair
}

// CreateKeyPair ends the step where it is refused.
func (t *temporaries) CreateKeyPair(ctx context.Context, in *ec2.CreateKeyPairInput, o ...func(*ec2.Options)) (*ec2.CreateKeyPairOutput, error) {
	out, err := t.Ec2Client.CreateKeyPair(ctx, in, o...)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.keys[aws.ToString(in.KeyName)] = aws.ToString(out.KeyPairId)
	}
	if ec2api.IsUnauthorized(err) && t.giveUp != nil {
		t.giveUp()
	}
	return out, err
}

// DeleteKeyPair records what may not be deleted.
func (t *temporaries) DeleteKeyPair(ctx context.Context, in *ec2.DeleteKeyPairInput, o ...func(*ec2.Options)) (*ec2.DeleteKeyPairOutput, error) {
	out, err := t.Ec2Client.DeleteKeyPair(ctx, in, o...)
	t.mu.Lock()
	id := t.keys[aws.ToString(in.KeyName)]
	t.mu.Unlock()
	if ec2api.IsUnauthorized(err) && id != "" {
		t.leave(ledger.KeyPair, id, err)
	}
	return out, err
}

// DeleteSecurityGroup records what may not be deleted, or what an instance that
// is left holds, and takes it for done: the step passes no context, so that
// there is no other way to end it.
func (t *temporaries) DeleteSecurityGroup(ctx context.Context, in *ec2.DeleteSecurityGroupInput, o ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error) {
	out, err := t.Ec2Client.DeleteSecurityGroup(ctx, in, o...)
	held := slices.ContainsFunc(t.ledger.Left(), func(e ledger.Entry) bool { return e.Kind == ledger.Instance })
	if err != nil && (held || ec2api.IsUnauthorized(err)) {
		t.leave(ledger.SecurityGroup, aws.ToString(in.GroupId), err)
		return &ec2.DeleteSecurityGroupOutput{}, nil
	}
	return out, err
}

func (t *temporaries) leave(kind ledger.Kind, id string, err error) {
	t.ui.Errorf("deleting %s: %s", id, ec2api.Plain(err))
	t.ledger.Add(ledger.Entry{Kind: kind, Region: t.region, ID: id})
}

// stepKeyPair is packer-plugin-amazon's, which a refusal ends.
type stepKeyPair struct{ awscommon.StepKeyPair }

func (s *stepKeyPair) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if t, ok := state.Get(keyClient).(*temporaries); ok {
		t.mu.Lock()
		t.giveUp = cancel
		t.mu.Unlock()
	}
	return s.StepKeyPair.Run(ctx, state)
}
