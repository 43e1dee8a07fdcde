// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// TestMetadata reads what the metadata service of a spot instance tells: the launch, the
// role with keys that the services accept, and the notices before it is interrupted.
func TestMetadata(t *testing.T) {
	clock := pace.NewManual(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC))
	y := &fakeHost{machines: map[string]*fakeMachine{}}
	l := &lab{T: t, clock: clock, server: New(Config{Pace: pace.Instant, Clock: clock, Host: y, Seed: "yard"})}
	l.ec2 = l.in("eu-central-1")
	out := must[*sdk.RunInstancesOutput](l)(l.ec2.RunInstances(t.Context(), &sdk.RunInstancesInput{
		ImageId: aws.String(l.source()), InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		IamInstanceProfile:    &types.IamInstanceProfileSpecification{Name: aws.String("miners")},
		InstanceMarketOptions: &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot},
		MetadataOptions:       &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired, InstanceMetadataTags: types.InstanceMetadataTagsStateEnabled},
		TagSpecifications:     []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String("Name"), Value: aws.String("miner")}}}},
	}))
	id := *out.Instances[0].InstanceId
	l.becomes("running", l.is(id, "running"))
	describe := y.machines[id].spec.Metadata

	got := describe()
	if got.Type != "g4dn.xlarge" || got.Region != "eu-central-1" || got.ImageID != *out.Instances[0].ImageId || !got.Spot || !got.TokensRequired || got.Tags["Name"] != "miner" {
		t.Errorf("got %+v", got)
	}
	if got.Role == nil || got.Role.Name != "miners" || got.Role.AccessKey != describe().Role.AccessKey {
		t.Fatalf("got role %+v, want miners with the same keys each time", got.Role)
	}
	config := l.server.AWSConfig("eu-central-1")
	config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: got.Role.AccessKey, SecretAccessKey: got.Role.SecretKey, SessionToken: got.Role.Token}, nil
	})
	who, err := sts.NewFromConfig(config).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "arn:aws:sts::" + AccountID + ":assumed-role/miners/" + id; *who.Arn != want {
		t.Errorf("got caller %s, want %s", *who.Arn, want)
	}

	if !got.Interruption.IsZero() || !got.Rebalance.IsZero() {
		t.Errorf("notices without a fault: %+v", got)
	}
	l.server.AddFault(Fault{Rebalance: "*", Region: "eu-central-1"})
	l.server.AddFault(Fault{Reclaim: "*", Notice: "2m", Region: "eu-central-1"})
	if got := describe(); !got.Rebalance.Equal(clock.Now()) || !got.Interruption.Equal(clock.Now().Add(2*time.Minute)) {
		t.Errorf("got rebalance %s and interruption %s at %s", got.Rebalance, got.Interruption, clock.Now())
	}
	clock.Advance(119 * time.Second)
	if state := l.state(id); state != "running" {
		t.Errorf("got %s before the end of the notice", state)
	}
	clock.Advance(time.Second)
	l.becomes("interrupted", l.is(id, "terminated"))
}
