// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
	"github.com/eth-mining/packer-plugin-ethminer/internal/verifyami"
)

const mapAbout = `Only an image id, such as ami-0123456789abcdef0, counts as an image. A placeholder, an id of zeros, a dynamic
reference ({{resolve:...}}) or any other text does not. REGION may include an attribute: us-east-1.HVM64=ami-0123456789abcdef0
`

const mapGetAbout = mapAbout + `Without REGION, get checks the attributes in which some row has an image, or all attributes if no row has one, and
the attribute of -attribute.
`

// mapVerb returns the command map.
func mapVerb() verb {
	return verb{
		name: "map", summary: "edit the region map of a CloudFormation template, and nothing else in it", verbs: []verb{
			{
				name: "get", args: "TEMPLATE [REGION ...]", summary: "print the map, or the images of some regions", about: mapGetAbout, options: mapGet,
				exits: map[int]string{exitOK: "each region on the command line, or each row, has an image", exitError: "failure, or a row cannot be read", exitProblem: "a region has no image"},
			},
			{
				name: "set", args: "TEMPLATE [REGION=AMI ...]", summary: "write images into the map", about: mapAbout, options: mapSet,
				exits: map[int]string{exitError: "failure; nothing was written"},
			},
			{
				name: "diff", args: "TEMPLATE [REGION=AMI ...]", summary: "print the changes that set would make", about: mapAbout, options: mapDiff,
				exits: map[int]string{exitOK: "nothing would change", exitProblem: "something would change"},
			},
		},
	}
}

// mapOptions are the options of the three verbs.
type mapOptions struct {
	mapping, attribute, manifest, output string
	required, new                        string
	stale                                choice
	verify                               bool
	json                                 format

	chosen bool // -attribute was given
}

// mapPolicyOptions are the option names that the errors of a policy use.
var mapPolicyOptions = cfntemplate.Options{Required: "-required-regions", Stale: "-stale-regions", New: "-new-attributes", Attribute: "-attribute"}

func mapGet(f *flag.FlagSet) action {
	o := new(mapOptions)
	o.declare(f, "the `name` of the attribute of each REGION without one; if it is given, the map is printed with this attribute only")
	return o.action(func(_ context.Context, c *call, template string, words []string) (int, error) {
		return o.get(template, words, c.streams)
	})
}

func mapSet(f *flag.FlagSet) action {
	o := new(mapOptions)
	o.declareChange(f)
	return o.action(func(ctx context.Context, c *call, template string, words []string) (int, error) {
		return o.run(ctx, "set", template, words, c.streams)
	})
}

func mapDiff(f *flag.FlagSet) action {
	o := new(mapOptions)
	o.declareChange(f)
	return o.action(func(ctx context.Context, c *call, template string, words []string) (int, error) {
		return o.run(ctx, "diff", template, words, c.streams)
	})
}

// declare declares the options of all verbs.
func (o *mapOptions) declare(f *flag.FlagSet, attribute string) {
	f.StringVar(&o.mapping, "mapping", "AWSRegion2AMI", "the `name` of the map in the section Mappings")
	f.StringVar(&o.attribute, "attribute", "AMI", attribute)
	o.json.declare(f)
}

// declareChange declares the options of set and diff.
func (o *mapOptions) declareChange(f *flag.FlagSet) {
	o.declare(f, "the `name` of the attribute in each region's row")
	f.StringVar(&o.manifest, "manifest", "", "also write the images of this `file` of Packer's manifest post-processor, the newest for each region")
	f.StringVar(&o.output, "output", "", "the `file` to write (default TEMPLATE)")
	f.StringVar(&o.required, "required-regions", "", "comma-separated `regions` that must have an image afterwards; rows: every row of a region\nin the images' partition (rows of other partitions are listed and skipped)")
	o.stale = choice{"keep", []string{"keep", "fail", "remove"}}
	f.Var(&o.stale, "stale-regions", "how to `handle` rows that are not set: keep, fail or remove")
	f.StringVar(&o.new, "new-attributes", "", "comma-separated `names` of attributes that may be added even if no row has them")
	f.BoolVar(&o.verify, "verify-amis", true, "check in EC2 that each image exists in its region and is available")
}

// action returns the action that checks the command line and runs a verb.
func (o *mapOptions) action(run func(ctx context.Context, c *call, template string, words []string) (int, error)) action {
	return func(ctx context.Context, c *call) int {
		if len(c.words) == 0 {
			return c.misused(errors.New("no template given"))
		}
		c.flags.Visit(func(g *flag.Flag) { o.chosen = o.chosen || g.Name == "attribute" })
		if err := o.check(); err != nil {
			return c.misused(err)
		}
		code, err := run(ctx, c, c.words[0], c.words[1:])
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				fmt.Fprintf(c.err, "%s: %s\n", c.path, line)
			}
		}
		return code
	}
}

func (o *mapOptions) check() error {
	if err := cfntemplate.CheckMappingName(o.mapping); err != nil {
		return fmt.Errorf("-mapping: %w", err)
	}
	if err := cfntemplate.CheckAttribute(o.attribute); err != nil {
		return fmt.Errorf("-%w", err) // -attribute "x_y": ...
	}
	return nil
}

func (o *mapOptions) run(ctx context.Context, verb, template string, words []string, std streams) (int, error) {
	images, err := o.images(words)
	if err != nil {
		return exitUsage, err
	}
	policy, err := o.policy()
	if err != nil {
		return exitUsage, err
	}
	newRegions, code, err := o.checkRegions(template, images, policy.Required)
	if err != nil {
		return code, err
	}
	if o.manifest != "" {
		if images, err = o.fromManifest(images); err != nil {
			return exitError, err
		}
	}
	if len(images) == 0 {
		return exitUsage, errors.New("no images given; expected REGION=AMI, or -manifest")
	}
	if o.verify {
		if err := verifyImages(ctx, images, std.err); err != nil {
			return exitError, fmt.Errorf("%w\n(-verify-amis=false skips this check)", err)
		}
	}
	target := o.output
	if target == "" {
		target = template
	}
	inPlace, err := atomicfile.Same(template, target)
	if err != nil {
		return exitError, err
	}
	var report *cfntemplate.Report
	fill := func(current []byte) ([]byte, error) {
		src, err := atomicfile.Read(template)
		if err != nil {
			return nil, err
		}
		if inPlace {
			current = nil
		}
		var out []byte
		if out, report, err = cfntemplate.Update(template, src, target, current, images, policy); err == nil && len(newRegions) > 0 {
			report.Notes = append(report.Notes, "not in the plugin's list of regions, so check the spelling: "+strings.Join(newRegions, ", "))
		}
		return out, err
	}
	if verb == "diff" {
		text, err := difference(target, fill)
		if err != nil {
			return exitError, err
		}
		code = exitOK
		if text != nil {
			code = exitProblem
		}
		return code, o.printChanges(verb, std, template, target, false, report, text)
	}
	if err := makeFolder(filepath.Dir(target), fill); err != nil {
		return exitError, err
	}
	wrote, err := atomicfile.Update(ctx, target, fill)
	if err != nil {
		return exitError, err
	}
	return exitOK, o.printChanges(verb, std, template, target, wrote, report, nil)
}

// makeFolder makes the folder of a new file, unless the file would be refused.
func makeFolder(dir string, fill func([]byte) ([]byte, error)) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := fill(nil); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}

// policy returns the requirements of the options on the resulting map.
func (o *mapOptions) policy() (cfntemplate.Policy, error) {
	p := cfntemplate.Policy{Mapping: o.mapping, Stale: cfntemplate.Stale(o.stale.value), Required: byCommas(o.required), New: byCommas(o.new), Options: mapPolicyOptions}
	for _, r := range p.Required {
		if r != cfntemplate.EveryRow && !cfntemplate.IsRegion(r) {
			return p, fmt.Errorf("-required-regions: got %q, want regions such as us-east-1, or %s", r, cfntemplate.EveryRow)
		}
	}
	for _, a := range p.New {
		if err := cfntemplate.CheckAttribute(a); err != nil {
			return p, fmt.Errorf("-new-attributes: %w", err)
		}
	}
	return p, nil
}

func byCommas(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// checkRegions rejects regions that are probably typos, and returns those that AWS
// may have opened since this version, unless the map has them. On an error it
// returns the exit code.
func (o *mapOptions) checkRegions(template string, images []cfntemplate.Image, required []string) (opened []string, code int, err error) {
	var unknown []string
	for _, i := range images {
		required = append(required, i.Region)
	}
	for _, r := range required {
		if !region.IsKnown(r) && r != cfntemplate.EveryRow && !slices.Contains(unknown, r) {
			unknown = append(unknown, r)
		}
	}
	if len(unknown) == 0 {
		return nil, exitOK, nil
	}
	m, err := o.read(template)
	if err != nil {
		return nil, exitError, err
	}
	for _, r := range unknown {
		if _, there := m.Row(r); there {
			continue
		}
		if wrong := region.Check("region", r); wrong != nil {
			return nil, exitUsage, fmt.Errorf("%w (if it is a new region, add a row for it to %s first)", wrong, o.mapping)
		}
		opened = append(opened, r)
	}
	return opened, exitOK, nil
}

func (o *mapOptions) read(template string) (*cfntemplate.Mapping, error) {
	src, err := atomicfile.Read(template)
	if err != nil {
		return nil, err
	}
	t, err := cfntemplate.Parse(template, src)
	if err != nil {
		return nil, err
	}
	return t.Read(o.mapping)
}

// cell splits REGION.ATTRIBUTE; -attribute is the default attribute.
func (o *mapOptions) cell(word string) (region, attribute string) {
	region, attribute, ok := strings.Cut(word, ".")
	if !ok {
		attribute = o.attribute
	}
	return region, attribute
}

func (o *mapOptions) images(words []string) ([]cfntemplate.Image, error) {
	var images []cfntemplate.Image
	given := make(map[[2]string]string)
	for _, word := range words {
		name, ami, ok := strings.Cut(word, "=")
		where, attribute := o.cell(name)
		if !ok || !cfntemplate.IsAMI(ami) {
			return nil, fmt.Errorf("got %q, want REGION=AMI such as us-east-1=ami-0123456789abcdef0", word)
		}
		if !cfntemplate.IsRegion(where) {
			return nil, fmt.Errorf("%q: %w", word, region.Check("region", where))
		}
		if err := cfntemplate.CheckAttribute(attribute); err != nil {
			return nil, fmt.Errorf("%q: %w", word, err)
		}
		cell := [2]string{where, attribute}
		if other, twice := given[cell]; twice && other != ami {
			return nil, fmt.Errorf("two images for %s.%s: %s and %s; expected one", where, attribute, other, ami)
		}
		given[cell] = ami
		images = append(images, cfntemplate.Image{Region: where, Attribute: attribute, ID: ami})
	}
	return images, nil
}

// fromManifest adds the manifest's images for cells that are not on the command line.
func (o *mapOptions) fromManifest(images []cfntemplate.Image) ([]cfntemplate.Image, error) {
	src, err := atomicfile.Read(o.manifest)
	if err != nil {
		return nil, err
	}
	builds, err := cfntemplate.ParseManifest(o.manifest, src)
	if err != nil {
		return nil, err
	}
	given := make(map[[2]string]bool)
	for _, i := range images {
		given[[2]string{i.Region, i.Attribute}] = true
	}
	return append(images, cfntemplate.Newest(builds, func(_ cfntemplate.Build, region, _ string) (string, bool) {
		return o.attribute, !given[[2]string{region, o.attribute}]
	})...), nil
}

// difference returns the change of target by fill as a unified diff; nil if there is
// none.
func difference(target string, fill func([]byte) ([]byte, error)) ([]byte, error) {
	old, err := atomicfile.Read(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	out, err := fill(old)
	if err != nil {
		return nil, err
	}
	return diff.Diff(target, old, target, out), nil
}

// verifyImages checks the images with the credentials of the environment.
func verifyImages(ctx context.Context, images []cfntemplate.Image, w io.Writer) error {
	base, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	say := func(s string) { fmt.Fprintln(w, s) }
	clients := awsclient.New(base, "").ReportOutages(say)
	v := verifyami.Verifier{
		Client: func(_ context.Context, region string) (verifyami.API, error) { return clients.EC2(region), nil },
		Say:    say,
	}
	wanted := make([]verifyami.Image, len(images))
	for i, image := range images {
		wanted[i] = verifyami.Image{Region: image.Region, ID: image.ID}
	}
	_, err = v.Verify(ctx, wanted)
	return err
}
