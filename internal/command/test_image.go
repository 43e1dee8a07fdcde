// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
)

// TestImages makes the launch tests of images. The builder provides it: main sets it, as
// no internal package imports a component.
var TestImages func(ctx context.Context, ui packersdk.Ui, options map[string]any, images []distribute.Image, tag bool) ([]artifact.LaunchTest, error)

const testImageAbout = `An AMI is ami-..., or region:ami-... for another region than -region. The checks are those of launch_test of the builder
ethminer-ami. The verdict is written to the tag ethminer:launch-test of the image. Credentials and AWS_ENDPOINT_URL are
read as by the AWS CLI. An instance costs money; it is terminated after its test, and it shuts itself down after -timeout.
`

// testImageVerb returns the command test-image.
func testImageVerb() verb {
	return verb{
		name: "test-image", args: "AMI ...", summary: "launch an instance of an image that exists, and check that it mines", about: testImageAbout, options: testImageOptions,
		exits: map[int]string{exitOK: "every image has passed", exitError: "a test could not be made", exitProblem: "an image has failed"},
	}
}

// testImage are the options of test-image. Those that have the name of an option of the
// builder have its meaning, too.
type testImage struct {
	region, types, markets, user, rehearsal string
	userData, checks, uptime, timeout       string
	difference, maxPrice                    float64
	commands, sets                          repeated
	tag                                     bool
	json                                    format
}

func testImageOptions(f *flag.FlagSet) action {
	o := new(testImage)
	f.StringVar(&o.region, "region", os.Getenv("AWS_REGION"), "the `region` of images without one")
	f.StringVar(&o.types, "instance-types", "g4dn.xlarge", "the comma-separated `types` to try, with the GPU that the image was built for")
	f.StringVar(&o.markets, "markets", "on-demand", "the comma-separated `markets` to try: on-demand, spot")
	f.Float64Var(&o.maxPrice, "max-price-per-hour", 0, "the maximum price of the instance in `USD` (default no limit)")
	f.StringVar(&o.user, "ssh-username", "ubuntu", "the login `user` of the image")
	f.StringVar(&o.userData, "user-data-file", "", "the user data `file` (default: the miner's benchmark, without a pool)")
	f.StringVar(&o.checks, "checks", "", "the comma-separated `checks` (default: all)")
	f.StringVar(&o.uptime, "uptime", "1m", "how `long` the service must mine")
	f.StringVar(&o.timeout, "timeout", "20m", "the maximum `time` of a test")
	f.Float64Var(&o.difference, "max-difference", 0, "the maximum difference to the benchmark's rate, as a `share` (default 0.1 for GPUs, no limit for CPUs)")
	f.Var(&o.commands, "command", "a `command` that must succeed on the instance; may be repeated")
	f.Var(&o.sets, "set", "another option of the builder, such as `subnet_id=subnet-1`; a list or a block is JSON; may be repeated")
	f.BoolVar(&o.tag, "tag", true, "write the verdict to the tag of the image")
	o.json.declare(f)
	f.StringVar(&o.rehearsal, "rehearsal", "", "test in the rehearsal with this state `folder` instead of an account")
	return o.run
}

func (o *testImage) run(ctx context.Context, c *call) int {
	images, err := o.images(c.words)
	options, bad := o.builderOptions(images)
	if err = errors.Join(err, bad); err != nil {
		return c.misused(err)
	}
	results, err := TestImages(ctx, talk{c.err}, options, images, o.tag)
	has := func(verdict string) bool {
		return slices.ContainsFunc(results, func(r artifact.LaunchTest) bool { return r.Verdict == verdict })
	}
	code := exitOK
	switch {
	case err != nil:
		code = c.fail(exitError, err)
	case has(artifact.TestFailed):
		code = exitProblem
	case has(artifact.TestNotMade):
		code = exitError
	}
	if o.json {
		return c.printJSON(code, list(results))
	}
	for _, r := range results {
		fmt.Fprintf(c.out, "%s:%s %s\n", r.Region, r.Image, r.Tag())
	}
	return code
}

// images parses the arguments.
func (o *testImage) images(words []string) (list []distribute.Image, err error) {
	if len(words) == 0 {
		return nil, errors.New("no image; expected its id, such as ami-0123456789abcdef0")
	}
	for _, word := range words {
		where, id, elsewhere := strings.Cut(word, ":")
		if !elsewhere {
			where, id = o.region, word
		}
		switch {
		case !artifact.IsImageID(id):
			err = errors.Join(err, fmt.Errorf("got %q, want an image such as ami-0123456789abcdef0, or eu-central-1:ami-0123456789abcdef0", word))
		case where == "":
			err = errors.Join(err, fmt.Errorf("%s: no region is set; expected -region, AWS_REGION or region:%s", id, id))
		default:
			err = errors.Join(err, region.Check("-region", where))
		}
		list = append(list, distribute.Image{Region: where, ID: id})
	}
	return list, err
}

// builderOptions returns the options of the builder.
func (o *testImage) builderOptions(images []distribute.Image) (map[string]any, error) {
	test := map[string]any{"uptime": o.uptime, "timeout": o.timeout}
	if o.userData != "" {
		test["user_data_file"] = o.userData
	}
	if o.checks != "" {
		test["checks"] = strings.Split(o.checks, ",")
	}
	if o.difference != 0 {
		test["max_difference"] = o.difference
	}
	if len(o.commands) > 0 {
		test["commands"] = []string(o.commands)
	}
	options := map[string]any{
		"ami_name": "test-image", "instance_types": strings.Split(o.types, ","), "markets": strings.Split(o.markets, ","), "ssh_username": o.user,
		"launch_test": test, "on_launch_test_failure": "keep",
	}
	if len(images) > 0 {
		options["region"] = images[0].Region
	}
	if o.maxPrice != 0 {
		options["max_price_per_hour"] = o.maxPrice
	}
	if o.rehearsal != "" {
		options["rehearsal"], options["rehearsal_state"] = true, o.rehearsal
	}
	for _, text := range o.sets {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("-set: got %q, want name=value, such as subnet_id=subnet-0123456789abcdef0", text)
		}
		options[name] = parsed(value)
	}
	return options, nil
}

// parsed returns a value that is JSON, other than a number, else the text: an id of
// digits is text.
func parsed(text string) any {
	var value any
	if _, err := strconv.ParseFloat(text, 64); err != nil && json.Unmarshal([]byte(text), &value) == nil {
		return value
	}
	return text
}

// talk is the user interface of the builder's code on a terminal. Results are printed to
// stdout, everything else to w.
type talk struct{ w io.Writer }

var _ packersdk.Ui = talk{}

func (talk) Ask(string) (string, error)                                        { return "", errors.New("this command asks nothing") }
func (talk) Askf(string, ...any) (string, error)                               { return "", errors.New("this command asks nothing") }
func (t talk) Say(line string)                                                 { fmt.Fprintln(t.w, line) }
func (t talk) Sayf(format string, args ...any)                                 { fmt.Fprintf(t.w, format+"\n", args...) }
func (t talk) Message(line string)                                             { fmt.Fprintln(t.w, line) }
func (t talk) Error(line string)                                               { fmt.Fprintln(t.w, line) }
func (t talk) Errorf(format string, args ...any)                               { fmt.Fprintf(t.w, format+"\n", args...) }
func (talk) Machine(string, ...string)                                         {}
func (talk) TrackProgress(_ string, _, _ int64, s io.ReadCloser) io.ReadCloser { return s }
