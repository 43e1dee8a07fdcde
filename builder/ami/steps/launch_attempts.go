// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
	"github.com/eth-mining/packer-plugin-ethminer/internal/usd"
)

// launchInstance makes the launch attempts in order until an instance runs.
func (b *Build) launchInstance(ctx context.Context, client *awsclient.EC2, state multistep.StateBag) error {
	ui, limits := UIOf(state), b.Config.Limits()
	attempts := b.attempts()
	fleets := &fleets{b: b, client: client, state: state, templates: map[bool]fleetTemplate{}}
	strategy := launch.Strategy{
		Attempts:    attempts,
		Fleet:       fleets.launch,
		Together:    b.Config.Together,
		Timeout:     b.Config.CapacityTimeout,
		Patience:    b.Launching,
		BeforeRetry: b.prices.Forget,
		Say:         func(line string) { ui.Say(line) },
	}
	if limits.Any() {
		strategy.Admit = func(ctx context.Context, attempt launch.Attempt) *launch.Refusal {
			price, err := b.prices.Of(ctx, attempt)
			switch {
			case err == nil:
				return limits.Refuse(price)
			case attempt.Market == launch.Spot: // the request's maximum price enforces the limit
				log.Printf("[INFO] the spot price of %s is unknown: %s", attempt, err)
				return nil
			}
			return limits.Unknown(awsclient.Plain(err))
		}
	}
	ui.Sayf("Launching one %s...", b.alternatives(strategy.Requests()))
	// A client token makes the launch idempotent: a retry returns the first
	// response. After a refusal the next request needs a new token.
	calls := map[launch.Attempt]*ec2.RunInstancesInput{}
	_, err := strategy.Run(ctx, func(ctx context.Context, attempt launch.Attempt) (err error) {
		if calls[attempt] == nil {
			if calls[attempt], err = b.runInstancesInput(state, attempt, uuid.TimeOrderedUUID()); err != nil {
				return err
			}
		}
		instance, err := b.runInstances(ctx, client, calls[attempt])
		if err == nil {
			err = b.awaitRunning(ctx, client, state, instance, attempt)
		}
		if launch.IsRefusal(err) {
			delete(calls, attempt)
			b.dropInstance(state)
		}
		return err
	})
	if refused := new(launch.RefusedError); errors.As(err, &refused) {
		refused.Region = b.Clients.Region()
	} else if err != nil && b.Report.InstanceID == "" {
		b.removeLost(client, ui)
	}
	if ended := new(launch.EndedError); errors.As(err, &ended) && ended.KeyUnusable() {
		err = fmt.Errorf("%w; %s", err, b.aboutKeys())
	}
	return err
}

// removeLost looks once for an instance whose launch had no answer, before another error
// ended the launch, and removes it.
func (b *Build) removeLost(client *awsclient.EC2, ui packersdk.Ui) {
	ctx, cancel := cleanup.Context()
	defer cancel()
	found, err := b.lostInstance(ctx, client)
	if err != nil {
		log.Printf("[INFO] looking for an instance of the failed launch: %s", err)
	}
	if found == nil {
		return
	}
	entry := cleanup.Entry{Kind: cleanup.Instance, Region: b.Clients.Region(), ID: aws.ToString(found.InstanceId)}
	b.ledger.Add(entry)
	b.removeTemporary(ui, entry)
}

// lostInstance returns an instance with the build's tag that is not in the ledger; nil if
// EC2 lists none.
func (b *Build) lostInstance(ctx context.Context, client *awsclient.EC2) (*ec2types.Instance, error) {
	known := map[string]bool{}
	for _, entry := range b.ledger.Left() {
		known[entry.ID] = true
	}
	return launch.OfTag(ctx, client, tags.BuildID, b.Config.ID(), known)
}

// aboutKeys explains an instance that ended because of a KMS key.
func (b *Build) aboutKeys() string {
	var keys []string
	for _, key := range b.Config.VolumeKeys(b.Clients.Region()) {
		keys = append(keys, fmt.Sprintf("%s = %q", key.Attribute, key.ID))
	}
	if len(keys) == 0 {
		keys = []string{"the key of the source image's snapshots, or the account's default key for EBS"}
	}
	return "usually EC2 cannot use the KMS key of an encrypted volume: check that the key is enabled, and that its policy allows your credentials " +
		"(on spot also the role AWSServiceRoleForEC2Spot) kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext and kms:ReEncrypt*: " +
		strings.Join(keys, ", ")
}

// dropInstance removes the instance of a refused attempt, if EC2 accepted it first.
func (b *Build) dropInstance(state multistep.StateBag) {
	if b.Report.InstanceID == "" {
		return
	}
	b.removeTemporary(UIOf(state), b.instance())
	b.Report.InstanceID, b.Report.PricePerHourUSD, b.Report.PriceSource = "", 0, ""
	state.Remove(keyInstance)
	state.Remove(keyInstanceID)
}

// attempts returns the launch attempts in the order to make them. In a fleet, each zone
// is a choice of its own, so that EC2 can compare their capacity and prices.
func (b *Build) attempts() []launch.Attempt {
	c := b.Config
	attempts := launch.Attempts(c.InstanceTypes, c.MarketList(), b.places)
	if len(b.places) == 1 || !c.MayUseFleet() {
		return attempts
	}
	return slices.DeleteFunc(attempts, func(r launch.Attempt) bool { return r.Market == launch.Spot && r.Place == launch.Place{} })
}

// alternatives describes the first launch request and the number of alternatives.
func (b *Build) alternatives(requests [][]launch.Attempt) string {
	types, markets := map[string]bool{}, map[launch.Market]bool{}
	for _, r := range slices.Concat(requests...) {
		types[r.Type], markets[r.Market] = true, true
	}
	var counts []string
	for _, count := range []struct {
		n    int
		what string
	}{{len(types), "types"}, {len(markets), "markets"}, {len(b.places), "places"}} {
		if count.n > 1 {
			counts = append(counts, fmt.Sprintf("%d %s", count.n, count.what))
		}
	}
	first := requests[0]
	text := first[0].Type + ", " + string(first[0].Market)
	if len(first) > 1 {
		names := map[string]bool{}
		for _, r := range first {
			names[r.Type] = true
		}
		text = fmt.Sprintf("%s, spot, in a fleet of %d choices (%s)", strings.Join(slices.Sorted(maps.Keys(names)), " or "), len(first), b.Config.SpotStrategy())
	}
	if len(types)+len(markets) > 2 && len(requests) > 1 {
		text += ", first of " + strings.Join(counts, " x ")
	}
	return text
}

// priceTimeout limits the request for the instance's price, which is optional.
// It is shorter than the boot of an instance.
const priceTimeout = 5 * time.Second

// askPrice requests the price of the launched instance while it boots. note
// waits for the result, stores it in the report and prints it, if it is known.
func (b *Build) askPrice(ctx context.Context, attempt launch.Attempt) (note func(say func(string, ...any))) {
	ctx, cancel := clock.WithTimeout(ctx, priceTimeout)
	attempt.Place.Zone = b.Report.Zone
	var price launch.Price
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		price, err = b.prices.Of(ctx, attempt)
	}()
	return func(say func(string, ...any)) {
		<-done
		cancel()
		if err != nil {
			log.Printf("[INFO] the price of %s is unknown: %s", attempt, err)
			return
		}
		if b.Config.Rehearsal && price.Source != launch.SourceUser && price.Source != launch.SourceBlock {
			price.Source += ", simulated"
		}
		b.Report.PricePerHourUSD, b.Report.PriceSource = price.USD, price.Source
		if price.Source == launch.SourceBlock {
			say("%s has no hourly cost: its capacity block is prepaid (the price of the block is unknown)", b.Report.InstanceID)
			return
		}
		say("%s costs %s per hour (%s)", b.Report.InstanceID, usd.Price(price.USD), price.Source)
	}
}

// profilePatience is the backoff while EC2 does not find the new resources for
// the launch: an instance profile, a key pair, a security group or a launch template.
const profilePatience = 2 * time.Minute

// plainRefusal shortens the error of a launch that EC2 refuses: the caller's error has the
// place. A launch without an answer keeps the action, the region and the remedy.
func plainRefusal(err error) error {
	if awsclient.IsLaunchRefusal(err) || awsclient.IsBadRequest(err) {
		return awsclient.Plain(err)
	}
	return err
}

// runInstances launches an instance and records it in the ledger. A cancel does
// not abort the request, as the id of the instance would be lost.
func (b *Build) runInstances(ctx context.Context, client *awsclient.EC2, input *ec2.RunInstancesInput) (ec2types.Instance, error) {
	deadline := clock.Now().Add(profilePatience)
	for try := 1; ; try++ {
		var instance ec2types.Instance
		out, err := client.RunInstances(context.WithoutCancel(ctx), input, awsclient.NoLaunchRetries)
		err = plainRefusal(err)
		switch {
		case err == nil && len(out.Instances) == 0:
			err = errors.New("the response from EC2 contains no instance")
		case err == nil:
			instance = out.Instances[0]
		case awsclient.IsUnanswered(err) && !awsclient.GaveUp(err) && try < lostResponses:
			continue // the same token returns the same instance
		case awsclient.IsUnanswered(err): // the request may have succeeded
			found, lookErr := launch.OfToken(context.WithoutCancel(ctx), client, aws.ToString(input.ClientToken))
			if lookErr == nil && found != nil {
				instance, err = *found, nil
			} else if lookErr != nil {
				err = fmt.Errorf("%w; an instance may be running: search for the tag %s = %s in %s", err, tags.BuildID, b.Config.ID(), b.Clients.Region())
			}
		}
		if err == nil {
			b.ledger.Add(cleanup.Entry{Kind: cleanup.Instance, Region: b.Clients.Region(), ID: aws.ToString(instance.InstanceId)})
			return instance, nil
		}
		if !b.isNewUnknown(err) || clock.Now().After(deadline) {
			return ec2types.Instance{}, err
		}
		select {
		case <-ctx.Done():
			return ec2types.Instance{}, ctx.Err()
		case <-clock.After(b.wait.Interval):
		}
	}
}

// isNewUnknown reports whether EC2 does not yet find a resource that the build has
// created for the launch.
func (b *Build) isNewUnknown(err error) bool {
	kind := map[string]cleanup.Kind{"InvalidKeyPair.NotFound": cleanup.KeyPair, "InvalidGroup.NotFound": cleanup.SecurityGroup}[awsclient.Code(err)]
	if awsclient.IsNoTemplate(err) {
		kind = cleanup.LaunchTemplate
	}
	return awsclient.IsNewProfileUnknown(err) ||
		kind != "" && slices.ContainsFunc(b.ledger.Left(), func(e cleanup.Entry) bool { return e.Kind == kind })
}

// RunInstancesInput returns the request of a launch attempt.
func (b *Build) runInstancesInput(state multistep.StateBag, attempt launch.Attempt, token string) (*ec2.RunInstancesInput, error) {
	a := options.LaunchRequest{Attempt: attempt, Token: token, Source: state.Get(keySourceImage).(*ec2types.Image), UserData: b.userData}
	a.Profile, _ = state.Get(keyProfile).(string)
	a.Groups, _ = state.Get(keySecurityGroups).([]string)
	input, err := b.Config.RunInstancesInput(a)
	if err != nil {
		return nil, err
	}
	input.TagSpecifications, err = b.runTagSpecifications(state, attempt.Market)
	return input, err
}

func (b *Build) runTagSpecifications(state multistep.StateBag, market launch.Market) ([]ec2types.TagSpecification, error) {
	c := b.Config
	run, volume, spot := map[string]string{}, map[string]string{}, map[string]string{}
	maps.Copy(run, c.RunTags)
	maps.Copy(volume, c.VolumeRunTags)
	maps.Copy(spot, c.SpotTags)
	for _, kind := range []map[string]string{run, volume, spot} {
		maps.Copy(kind, c.LifetimeTags(time.Now()))
	}
	kinds := []struct {
		kind ec2types.ResourceType
		tags map[string]string
	}{
		{ec2types.ResourceTypeInstance, run},
		{ec2types.ResourceTypeNetworkInterface, run},
		{ec2types.ResourceTypeVolume, volume},
	}
	if market == launch.Spot {
		kinds = append(kinds, struct {
			kind ec2types.ResourceType
			tags map[string]string
		}{ec2types.ResourceTypeSpotInstancesRequest, spot})
	}
	var specs []ec2types.TagSpecification
	for _, k := range kinds {
		tags, err := awscommon.TagMap(k.tags).EC2Tags(c.Interpolation(), b.Clients.Region(), state)
		if err != nil {
			return nil, fmt.Errorf("rendering the tags of the %s: %w", k.kind, err)
		}
		specs = append(specs, ec2types.TagSpecification{ResourceType: k.kind, Tags: tags})
	}
	return specs, nil
}
