// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

// What EC2 allows on a resource
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions;
// the API reference has a character less).
const (
	mostTags     = 50
	mostTagKey   = 127
	mostTagValue = 255
)

// imageTags are the tags that an image of a region and its snapshots have from
// their first moment on: what the builder knows of the image, under run_tags,
// under the user's tags, under those that a sweep and a resume go by.
func (b *build) imageTags(state multistep.StateBag, region string) (onImage, onSnapshots []ec2types.Tag, err error) {
	c := b.config
	users, err := c.renderTags(state, region, c.AMITags)
	if err != nil {
		return nil, nil, fmt.Errorf("rendering tags: %w", err)
	}
	snapshots, err := c.renderTags(state, region, c.SnapshotTags)
	if err != nil {
		return nil, nil, fmt.Errorf("rendering snapshot_tags: %w", err)
	}
	run := map[string]string{}
	if !c.SkipAMIRunTags {
		if run, err = c.renderTags(state, region, c.RunTags); err != nil {
			return nil, nil, fmt.Errorf("rendering run_tags: %w", err)
		}
	}
	own := c.imageLifetimeTags(time.Now())
	if b.replaces[region] {
		own[tags.Name] = c.AMIName
	}
	image := overlay(b.knownTags(state), b.inherited, run, users, own)
	snapshot := overlay(image, snapshots, c.imageLifetimeTags(time.Now()))
	return b.fit(image), b.fit(snapshot), nil
}

// intermediaryTags are those of an image that is only there to be copied.
func (c *Config) intermediaryTags(state multistep.StateBag, region string) ([]ec2types.Tag, error) {
	run := map[string]string{}
	if !c.SkipAMIRunTags {
		var err error
		if run, err = c.renderTags(state, region, c.RunTags); err != nil {
			return nil, fmt.Errorf("rendering run_tags: %w", err)
		}
	}
	return ec2Tags(overlay(run, map[string]string{tags.Name: c.AMIName}, c.imageLifetimeTags(time.Now()))), nil
}

// renderTags fills in the build's template data.
func (c *Config) renderTags(state multistep.StateBag, region string, texts map[string]string) (map[string]string, error) {
	rendered, err := awscommon.TagMap(texts).EC2Tags(c.ctx, region, state)
	if err != nil {
		return nil, err
	}
	return tagMap(rendered), nil
}

// description is ami_description with the template data that tags have too.
func (c *Config) description(state multistep.StateBag, region string) (string, error) {
	const key = "ami_description"
	rendered, err := c.renderTags(state, region, map[string]string{key: c.AMIDescription})
	if err != nil {
		return "", fmt.Errorf("rendering ami_description: %w", err)
	}
	return rendered[key], nil
}

// knownTags are what the build found out about its image. A resumed build and a
// copy take them from the image that they copy instead.
func (b *build) knownTags(state multistep.StateBag) map[string]string {
	source := ""
	if image, ok := state.Get(keySourceImage).(*ec2types.Image); ok {
		source = aws.ToString(image.ImageId)
	}
	known := map[string]string{
		tags.Version:   b.report.PluginVersion,
		tags.SourceAMI: source,
		tags.Family:    b.config.family(),
	}
	for key, value := range benchmarkTags(b.report.Benchmark) {
		known[key] = value
	}
	maps.DeleteFunc(known, func(_, value string) bool { return value == "" })
	for key, value := range known {
		known[key] = truncate(value)
	}
	return known
}

// commitAtEnd finds the commit in a report's source, such as "URL at COMMIT".
var commitAtEnd = lazyregexp.New(`(?: at |[@#])([0-9a-f]{7,40})$`)

// benchmarkTags are what an image's benchmark.json says of it, as tags; what
// it does not say is left out.
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
		return nil // stepReadBenchmark has read it; only a newer field may be of another type
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

// fit leaves out what the builder adds by itself where there are too many tags
// for EC2: the user's stay.
func (b *build) fit(all map[string]string) []ec2types.Tag {
	for _, key := range tags.Optional {
		if len(all) <= mostTags {
			break
		}
		delete(all, key)
	}
	return ec2Tags(all)
}

// overlay joins maps; the later ones win.
func overlay(layers ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, layer := range layers {
		maps.Copy(out, layer)
	}
	return out
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

func truncate(value string) string {
	if runes := []rune(value); len(runes) > mostTagValue {
		return string(runes[:mostTagValue])
	}
	return value
}

// releaseTail is what changes in a name from release to release: a time, a
// date, a version.
var releaseTail = lazyregexp.New(`[-_. /]*v?[0-9][-_.:0-9TZ]*$`)

// family is what releases of the same image have in common.
func (c *Config) family() string {
	if c.ReleaseFamily != "" {
		return c.ReleaseFamily
	}
	if family := releaseTail.ReplaceAllString(c.AMIName, ""); family != "" {
		return family
	}
	return c.AMIName
}

// checkTags says what EC2 would refuse once the image is made, an hour later.
// Texts with template data are judged as they stand where they have none.
func (c *Config) checkTags() []error {
	var errs []error
	for _, option := range []struct {
		attribute string
		tags      map[string]string
	}{{"tags", c.AMITags}, {"snapshot_tags", c.SnapshotTags}} {
		for _, key := range slices.Sorted(maps.Keys(option.tags)) {
			switch value := option.tags[key]; {
			case strings.Contains(key+value, "{{"):
			case strings.HasPrefix(strings.ToLower(key), "aws:"):
				errs = append(errs, fmt.Errorf("%s: the key %q begins with \"aws:\", which AWS keeps to itself; choose another", option.attribute, key))
			case key == "" || len([]rune(key)) > mostTagKey:
				errs = append(errs, fmt.Errorf("%s: the key %q has %d characters; expected 1 to %d", option.attribute, key, len([]rune(key)), mostTagKey))
			case len([]rune(value)) > mostTagValue:
				errs = append(errs, fmt.Errorf("%s: the value of %q has %d characters; expected at most %d", option.attribute, key, len([]rune(value)), mostTagValue))
			}
		}
	}
	all := overlay(c.AMITags, c.SnapshotTags, c.imageLifetimeTags(time.Now()))
	if !c.SkipAMIRunTags {
		all = overlay(c.RunTags, all)
	}
	if len(all) > mostTags {
		errs = append(errs, fmt.Errorf("tags: with snapshot_tags, run_tags and the builder's own there are %d; EC2 takes %d on a resource; "+
			"leave some out, or set skip_ami_run_tags", len(all), mostTags))
	}
	return errs
}
