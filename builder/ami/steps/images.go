// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// imageTags returns the tags with which the image of a region and its snapshots
// are created. In rising precedence: the builder's facts about the image,
// run_tags, the user's tags, and the tags for sweep and resume.
func (b *Build) imageTags(state multistep.StateBag, region string) (onImage, onSnapshots []ec2types.Tag, err error) {
	c := b.Config
	users, err := b.renderTags(state, region, c.AMITags)
	if err != nil {
		return nil, nil, fmt.Errorf("rendering tags: %w", err)
	}
	snapshots, err := b.renderTags(state, region, c.SnapshotTags)
	if err != nil {
		return nil, nil, fmt.Errorf("rendering snapshot_tags: %w", err)
	}
	run := map[string]string{}
	if !c.SkipAMIRunTags {
		if run, err = b.renderTags(state, region, c.RunTags); err != nil {
			return nil, nil, fmt.Errorf("rendering run_tags: %w", err)
		}
	}
	own := c.ImageLifetimeTags(time.Now())
	if b.replaces[region] {
		own[tags.Name] = c.AMIName
	}
	image := tags.Overlay(b.knownTags(state), b.Inherited, run, users, own)
	snapshot := tags.Overlay(image, snapshots, c.ImageLifetimeTags(time.Now()))
	return b.fit(image), b.fit(snapshot), nil
}

// intermediaryTags returns the tags of an image that is created only to be copied.
func (b *Build) intermediaryTags(state multistep.StateBag, region string) ([]ec2types.Tag, error) {
	c := b.Config
	run := map[string]string{}
	if !c.SkipAMIRunTags {
		var err error
		if run, err = b.renderTags(state, region, c.RunTags); err != nil {
			return nil, fmt.Errorf("rendering run_tags: %w", err)
		}
	}
	return ec2Tags(tags.Overlay(run, map[string]string{tags.Name: c.AMIName}, c.ImageLifetimeTags(time.Now()))), nil
}

// renderTags renders tags with the build's template data.
func (b *Build) renderTags(state multistep.StateBag, region string, texts map[string]string) (map[string]string, error) {
	rendered, err := awscommon.TagMap(texts).EC2Tags(b.Config.Interpolation(), region, state)
	if err != nil {
		return nil, err
	}
	return tagMap(rendered), nil
}

// description returns ami_description, rendered with the template data of tags.
func (b *Build) description(state multistep.StateBag, region string) (string, error) {
	const key = "ami_description"
	rendered, err := b.renderTags(state, region, map[string]string{key: b.Config.AMIDescription})
	if err != nil {
		return "", fmt.Errorf("rendering ami_description: %w", err)
	}
	return rendered[key], nil
}

// knownTags returns the tags with the build's facts about its image. A resumed
// build and a copy take them from the image that they copy.
func (b *Build) knownTags(state multistep.StateBag) map[string]string {
	source := ""
	if image, ok := state.Get(keySourceImage).(*ec2types.Image); ok {
		source = aws.ToString(image.ImageId)
	}
	known := map[string]string{
		tags.Version:   b.Report.PluginVersion,
		tags.SourceAMI: source,
		tags.Family:    b.Config.Family(),
	}
	for key, value := range benchmarkTags(b.Report.Benchmark) {
		known[key] = value
	}
	maps.DeleteFunc(known, func(_, value string) bool { return value == "" })
	for key, value := range known {
		known[key] = truncate(value)
	}
	return known
}

// commitAtEnd matches the commit in a report's source, such as "URL at COMMIT".
var commitAtEnd = lazyregexp.New(`(?: at |[@#])([0-9a-f]{7,40})$`)

// benchmarkTags returns the facts in an image's benchmark.json as tags. Absent
// facts have no tag.
func benchmarkTags(text []byte) map[string]string {
	if len(text) == 0 {
		return nil
	}
	var says struct {
		Source, Commit, Coin, CUDA, Driver string
		Device                             string
		GPUs                               []string
		Hashrate                           miner.Rate `json:"hashrate_hs"`
	}
	if err := json.Unmarshal(text, &says); err != nil {
		return nil // ReadBenchmark has parsed it; only a newer field can have another type
	}
	if found := commitAtEnd.FindStringSubmatch(says.Source); says.Commit == "" && found != nil {
		says.Commit = found[1]
	}
	gpus := slices.Clone(says.GPUs)
	slices.Sort(gpus)
	found := map[string]string{
		tags.Commit: says.Commit, tags.Coin: says.Coin, tags.CUDA: says.CUDA, tags.Driver: says.Driver,
		tags.GPU: strings.Join(slices.Compact(gpus), ", "),
	}
	if says.Hashrate > 0 {
		found[tags.Hashrate] = says.Hashrate.String()
	}
	return found
}

// fit drops the builder's own tags if there are more tags than EC2 allows. It
// keeps the user's tags.
func (b *Build) fit(all map[string]string) []ec2types.Tag {
	for _, key := range tags.Optional {
		if len(all) <= tags.MostTags {
			break
		}
		delete(all, key)
	}
	return ec2Tags(all)
}

func ec2Tags(from map[string]string) []ec2types.Tag {
	var list []ec2types.Tag
	for _, key := range slices.Sorted(maps.Keys(from)) {
		list = append(list, ec2types.Tag{Key: aws.String(key), Value: aws.String(from[key])})
	}
	return list
}

func tagMap(list []ec2types.Tag) map[string]string {
	m := map[string]string{}
	for _, tag := range list {
		m[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return m
}

// truncate shortens a value to what EC2 accepts: its errors name 255 characters, one less
// than its documentation.
func truncate(value string) string {
	if runes := []rune(value); len(runes) >= tags.MostValue {
		return string(runes[:tags.MostValue-1])
	}
	return value
}

// nameIn returns the name under which the image of a region is created.
func (b *Build) nameIn(region string) string {
	if b.replaces[region] {
		return b.Config.ReplacementName()
	}
	return b.Config.AMIName
}

// finish returns the configured settings of each image.
func (b *Build) finish(say func(string, ...any)) distribute.Finish {
	c := b.Config
	return distribute.Finish{
		Users: c.AMIUsers, Groups: c.AMIGroups, OrgARNs: c.AMIOrgArns, OUARNs: c.AMIOuArns,
		ProductCodes:  c.AMIProductCodes,
		SnapshotUsers: c.SnapshotUsers, SnapshotGroups: c.SnapshotGroups,
		IMDSv2:      c.AMIIMDSSupport != "",
		DeprecateAt: c.DeprecateAt(),
		Protect:     c.DeregistrationProtection.Enabled,
		Cooldown:    c.DeregistrationProtection.WithCooldown,
		ShareLater:  c.LaunchTest != nil && !b.cleared,
		Retry:       b.Patience, Say: say,
	}
}

// inAllRegions calls a function for each image that the build owns, concurrently.
func (b *Build) inAllRegions(images []distribute.Image, do func(distribute.Image) error) error {
	images = slices.DeleteFunc(slices.Clone(images), func(i distribute.Image) bool { return i.Borrowed })
	failures := make([]error, len(images))
	var wg sync.WaitGroup
	for i, image := range images {
		wg.Go(func() { failures[i] = do(image) })
	}
	wg.Wait()
	return errors.Join(failures...)
}
