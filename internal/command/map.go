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
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/eth-mining/packer-plugin-ethminer/internal/atomicfile"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/verifyami"
)

// exitDiffers is returned by `map diff` if the template would change, and by
// `map get` if a region that was asked for has no image.
const exitDiffers = 3

const mapUsage = `packer-plugin-ethminer map edits the region map of a CloudFormation template, and nothing else in it.

  map get  [options] TEMPLATE [REGION ...]       print the map, or the images of some regions
  map set  [options] TEMPLATE [REGION=AMI ...]   put images into the map
  map diff [options] TEMPLATE [REGION=AMI ...]   print what set would change, write nothing

REGION may name its attribute too: us-east-1.HVM64=ami-0123456789abcdef0

Exit codes: 0 done (get: all there; diff: nothing would change), 1 it could not be done and nothing
was written, 2 the command line was wrong, 3 get: a region has no image, diff: something would change.

Options:
`

// mapOptions are what the three verbs take.
type mapOptions struct {
	mapping, attribute, manifest, output string
	required, stale                      string
	verify                               bool
}

func (o *mapOptions) flags(w io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("map", flag.ContinueOnError)
	f.SetOutput(w)
	f.Usage = func() {
		fmt.Fprint(w, mapUsage)
		f.PrintDefaults()
	}
	f.StringVar(&o.mapping, "mapping", "AWSRegion2AMI", "the `name` of the map in the section Mappings")
	f.StringVar(&o.attribute, "attribute", "AMI", "the `name` in each region's row")
	f.StringVar(&o.manifest, "manifest", "", "a `file` of Packer's manifest post-processor: its images, the newest for each region")
	f.StringVar(&o.output, "output", "", "the `file` to write (default TEMPLATE)")
	f.StringVar(&o.required, "required", "", "`regions` that must have an image in the end, by commas; rows: every row there is")
	f.StringVar(&o.stale, "stale", "keep", "rows not set now: keep, fail or remove")
	f.BoolVar(&o.verify, "verify", true, "ask AWS whether each image exists in its region and is available")
	return f
}

// runMap is `packer-plugin-ethminer map`.
func runMap(ctx context.Context, args []string, std streams) int {
	var o mapOptions
	f := o.flags(std.err)
	words, err := interspersed(f, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case len(words) < 2 || words[0] != "get" && words[0] != "set" && words[0] != "diff":
		f.Usage()
		return exitUsage
	}
	code, err := o.run(ctx, words[0], words[1], words[2:], std)
	if err != nil {
		fmt.Fprintf(std.err, "map %s: %s\n", words[0], asFlags.Replace(err.Error()))
	}
	return code
}

// asFlags turns what messages call by the post-processor's options into flags.
var asFlags = strings.NewReplacer("required_regions", "-required", "stale_regions", "-stale", "set mapping to", "set -mapping to",
	"rows that this build did not fill", "rows that were not set", "build for these regions too", "set these regions too", "build for them too", "set them too")

// interspersed parses options wherever they stand and returns the other words.
func interspersed(f *flag.FlagSet, args []string) ([]string, error) {
	var words []string
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			return words, nil
		}
		words, args = append(words, f.Arg(0)), f.Args()[1:]
	}
}

func (o *mapOptions) run(ctx context.Context, verb, template string, words []string, std streams) (int, error) {
	if verb == "get" {
		return o.get(template, words, std.out)
	}
	images, err := o.images(words)
	if err != nil {
		return exitUsage, err
	}
	switch cfntemplate.Stale(o.stale) {
	case cfntemplate.StaleKeep, cfntemplate.StaleFail, cfntemplate.StaleRemove:
	default:
		return exitUsage, fmt.Errorf("-stale %q; expected keep, fail or remove", o.stale)
	}
	policy := cfntemplate.Policy{Mapping: o.mapping, Stale: cfntemplate.Stale(o.stale)}
	if o.required != "" {
		policy.Required = strings.Split(o.required, ",")
	}
	for _, r := range policy.Required {
		if r != cfntemplate.EveryRow && !cfntemplate.IsRegion(r) {
			return exitUsage, fmt.Errorf("-required %q; expected regions such as us-east-1, or %s", r, cfntemplate.EveryRow)
		}
	}
	if o.manifest != "" {
		more, err := o.fromManifest(images)
		if err != nil {
			return exitError, err
		}
		images = more
	}
	if len(images) == 0 {
		return exitUsage, errors.New("no images given; expected REGION=AMI, or -manifest")
	}
	if o.verify {
		if err := verifyImages(ctx, images, std.err); err != nil {
			return exitError, fmt.Errorf("%w\n(-verify=false leaves this check out)", err)
		}
	}
	target := o.output
	if target == "" {
		target = template
	}
	var changes []cfntemplate.Change
	fill := func([]byte) ([]byte, error) {
		src, err := os.ReadFile(template)
		if err != nil {
			return nil, err
		}
		t, err := cfntemplate.Parse(template, src)
		if err != nil {
			return nil, err
		}
		out, made, err := t.Fill(images, policy)
		changes = made
		return out, err
	}
	if verb == "diff" {
		return showDiff(target, fill, std.out)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return exitError, err
	}
	wrote, err := atomicfile.Update(ctx, target, fill)
	if err != nil {
		return exitError, err
	}
	for _, c := range changes {
		fmt.Fprintln(std.out, c)
	}
	if !wrote {
		target += " did not change"
	}
	fmt.Fprintln(std.out, target)
	return exitOK, nil
}

// get prints cells: `REGION.ATTRIBUTE VALUE` of the whole map, or the bare
// values of some regions.
func (o *mapOptions) get(template string, regions []string, w io.Writer) (int, error) {
	src, err := os.ReadFile(template)
	if err != nil {
		return exitError, err
	}
	t, err := cfntemplate.Parse(template, src)
	if err != nil {
		return exitError, err
	}
	m, err := t.Mapping(o.mapping)
	if err != nil {
		return exitError, err
	}
	if len(regions) == 0 {
		for _, r := range m.Rows {
			for _, c := range r.Cells {
				fmt.Fprintf(w, "%s.%s %s\n", r.Region, c.Name, c.Value)
			}
		}
		return exitOK, nil
	}
	var lacking []string
	for _, name := range regions {
		region, attribute := o.cell(name)
		c, ok := m.Cell(region, attribute)
		if !ok || c.Placeholder {
			lacking = append(lacking, region+"."+attribute)
			continue
		}
		fmt.Fprintln(w, c.Value)
	}
	if len(lacking) > 0 {
		return exitDiffers, fmt.Errorf("%s:%d:%d: %s has no image in %s", template, m.Line, m.Column, o.mapping, strings.Join(lacking, ", "))
	}
	return exitOK, nil
}

// cell splits REGION.ATTRIBUTE; the attribute's default is the option.
func (o *mapOptions) cell(word string) (region, attribute string) {
	region, attribute, ok := strings.Cut(word, ".")
	if !ok {
		attribute = o.attribute
	}
	return region, attribute
}

func (o *mapOptions) images(words []string) ([]cfntemplate.Image, error) {
	var images []cfntemplate.Image
	for _, word := range words {
		name, ami, ok := strings.Cut(word, "=")
		region, attribute := o.cell(name)
		if !ok || !cfntemplate.IsRegion(region) || !cfntemplate.IsAMI(ami) {
			return nil, fmt.Errorf("%q; expected REGION=AMI such as us-east-1=ami-0123456789abcdef0", word)
		}
		if err := cfntemplate.CheckAttribute(attribute); err != nil {
			return nil, fmt.Errorf("%q: %w", word, err)
		}
		images = append(images, cfntemplate.Image{Region: region, Attribute: attribute, ID: ami})
	}
	return images, nil
}

// fromManifest adds the manifest's images where the command line has none.
func (o *mapOptions) fromManifest(images []cfntemplate.Image) ([]cfntemplate.Image, error) {
	src, err := os.ReadFile(o.manifest)
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

func showDiff(target string, fill func([]byte) ([]byte, error), w io.Writer) (int, error) {
	old, err := os.ReadFile(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return exitError, err
	}
	out, err := fill(old)
	if err != nil {
		return exitError, err
	}
	d := diff.Diff(target, old, target, out)
	if d == nil {
		return exitOK, nil
	}
	if _, err := w.Write(d); err != nil {
		return exitError, err
	}
	return exitDiffers, nil
}

// verifyImages asks the AWS of the environment.
func verifyImages(ctx context.Context, images []cfntemplate.Image, w io.Writer) error {
	base, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	clients := ec2api.New(base, "")
	v := verifyami.Verifier{
		Client: func(_ context.Context, region string) (verifyami.API, error) { return clients.EC2(region), nil },
		Say:    func(s string) { fmt.Fprintln(w, s) },
	}
	wanted := make([]verifyami.Image, len(images))
	for i, image := range images {
		wanted[i] = verifyami.Image{Region: image.Region, ID: image.ID}
	}
	_, err = v.Verify(ctx, wanted)
	return err
}
