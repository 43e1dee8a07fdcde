// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/stackset"
)

const publishAbout = `The source is s3://BUCKET/templates/latest/NAME: BUCKET is the bucket of the first region; the prefix of the keys, if any,
goes before templates/. Credentials and AWS_ENDPOINT_URL are read as by the AWS CLI.
`

const publishCheckAbout = `With -build, the argument is a JSON file with the options of ethminer-cfn, and the command checks a publication after a
build in those regions; an HCL local can read the file with jsondecode(file("...")). With -plan, the argument is the template,
and the command checks whether publish run would succeed.
`

// publishVerb returns the command publish.
func publishVerb() verb {
	const source = "s3://BUCKET/templates/latest/NAME"
	return verb{
		name: "publish", summary: "show published templates, roll them back, and publish after a failed build", verbs: []verb{
			{
				name: "status", args: source, summary: "show the published state, and whether it is all one version", about: publishAbout, options: publishStatus,
				exits: map[int]string{exitOK: "everything is at one version", exitProblem: "something is at another version or keeps a parameter override, or the publication is not complete"},
			},
			{name: "history", args: source, summary: "list the publications, newest first", about: publishAbout, options: publishHistory},
			{
				name: "rollback", args: source, summary: "restore the previous latest, parameters and stack set", about: publishAbout, options: publishRollback,
				exits: map[int]string{exitUnconfirmed: "the rollback was not confirmed; nothing was changed"},
			},
			{name: "run", args: "TEMPLATE", summary: "publish with the plan that a failed build has written", options: publishRun},
			{
				name: "check", args: "SETTINGS|TEMPLATE", summary: "check whether publishing would succeed", about: publishCheckAbout, options: publishCheck,
				exits: map[int]string{exitOK: "publishing would succeed", exitProblem: "publishing would fail"},
			},
		},
	}
}

// publishOptions are the options of the verbs of publish.
type publishOptions struct {
	region, rehearsal, to, plan string
	buildName, architecture     string
	regions                     []string
	yes, dryRun                 bool
	json                        format
	count                       int
	parameters                  map[string]string
	overrides                   []stackset.Override
}

func publishStatus(f *flag.FlagSet) action {
	o := newPublishOptions(f)
	o.json.declare(f)
	return o.action((*publishing).status, nil)
}

func publishHistory(f *flag.FlagSet) action {
	o := newPublishOptions(f)
	o.json.declare(f)
	f.IntVar(&o.count, "n", 20, "the maximum number of publications")
	return o.action((*publishing).history, func() error {
		if o.count < 1 {
			return fmt.Errorf("-n: got %d, want at least 1", o.count)
		}
		return nil
	})
}

func publishRollback(f *flag.FlagSet) action {
	o := newPublishOptions(f)
	f.StringVar(&o.to, "to", "", "the `version` to restore, or a unique prefix of it (default: the previous version)")
	f.BoolVar(&o.yes, "yes", false, "do not ask for confirmation")
	o.declareDryRun(f)
	return o.action((*publishing).rollback, nil)
}

func publishRun(f *flag.FlagSet) action {
	o := newPublishOptions(f)
	o.declarePlan(f)
	o.declareDryRun(f)
	return o.action((*publishing).publish, func() error {
		if o.plan == "" {
			return errors.New("-plan: not set; expected the file NAME.publish.json of a failed build")
		}
		return nil
	})
}

func publishCheck(f *flag.FlagSet) action {
	o := newPublishOptions(f)
	o.json.declare(f)
	o.declarePlan(f)
	f.Func("build", "the comma-separated `regions` of the build's images", func(s string) error {
		o.regions = strings.Split(s, ",")
		for _, r := range o.regions {
			if !cfntemplate.IsRegion(r) {
				return fmt.Errorf("got %q, want a region such as us-east-1", r)
			}
		}
		return nil
	})
	f.StringVar(&o.buildName, "build-name", "", "the `name` of the build, for attributes")
	f.StringVar(&o.architecture, "architecture", "x86_64", "the `architecture` of the images, for attributes")
	return o.action((*publishing).check, func() error {
		if (o.plan == "") == (len(o.regions) == 0) {
			return errors.New("expected either -build REGION,... and a settings file, or -plan FILE and the template")
		}
		return nil
	})
}

// newPublishOptions declares the options of all verbs.
func newPublishOptions(f *flag.FlagSet) *publishOptions {
	o := &publishOptions{parameters: map[string]string{}}
	f.StringVar(&o.region, "region", "", "the `region` of the bucket (default: the AWS CLI's)")
	f.StringVar(&o.rehearsal, "rehearsal", "", "use the rehearsal with this state `folder` instead of an account")
	return o
}

// declareDryRun declares the option of the verbs that publish.
func (o *publishOptions) declareDryRun(f *flag.FlagSet) {
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan and change nothing")
}

// declarePlan declares the options of the verbs that read a plan file.
func (o *publishOptions) declarePlan(f *flag.FlagSet) {
	f.StringVar(&o.plan, "plan", "", "the plan `file` of a failed build, NAME.publish.json")
	f.Func("parameter", "a parameter of the stack set, `NAME=VALUE`; can be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return errors.New("expected NAME=VALUE")
		}
		o.parameters[name] = value
		return nil
	})
	f.Func("parameter-override", "a parameter of some stacks of the set, `REGION/ACCOUNT/NAME=VALUE`; * is every region or account; can be repeated", func(s string) error {
		where, value, ok := strings.Cut(s, "=")
		parts := strings.Split(where, "/")
		if !ok || len(parts) != 3 || slices.Contains(parts, "") {
			return fmt.Errorf("got %q, want REGION/ACCOUNT/NAME=VALUE, such as us-east-1/*/Subnets=subnet-0123456789abcdef0", where)
		}
		some := func(part string) []string {
			if part == "*" {
				return nil
			}
			return []string{part}
		}
		o.overrides = append(o.overrides, stackset.NewOverride(some(parts[0]), some(parts[1]), map[string]string{parts[2]: value}))
		return nil
	})
}

// action returns the action that checks the command line, connects and runs a verb.
func (o *publishOptions) action(run func(p *publishing, ctx context.Context, word string) int, check func() error) action {
	return func(ctx context.Context, c *call) int {
		var err error
		switch {
		case len(c.words) != 1:
			err = fmt.Errorf("got %d arguments, want one", len(c.words))
		case o.region != "" && !cfntemplate.IsRegion(o.region):
			err = fmt.Errorf("-region: got %q, want a region such as us-east-1", o.region)
		case check != nil:
			err = check()
		}
		if err != nil {
			return c.misused(err)
		}
		p := &publishing{call: c, publishOptions: *o}
		if err := p.connect(ctx); err != nil {
			return p.fail(exitError, err)
		}
		return run(p, ctx, c.words[0])
	}
}

// publishing is one run of the command.
type publishing struct {
	*call
	publishOptions
	publisher publish.Publisher
}

func (p *publishing) connect(ctx context.Context) error {
	p.publisher.Say = func(s string) { fmt.Fprintln(p.err, s) }
	if p.rehearsal != "" {
		session, err := rehearsal.Find(ctx, p.rehearsal)
		if err != nil {
			return err
		}
		if p.region == "" {
			p.region = "us-east-1"
		}
		p.publisher.Interval = 100 * time.Millisecond // a rehearsal is faster than AWS
		base := session.AWSConfig(p.region)
		p.publisher.Clients = awsclient.New(base, "")
		p.publisher.AWS = "aws --endpoint-url " + aws.ToString(base.BaseEndpoint)
		return nil
	}
	base, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("loading AWS credentials: %w", err)
	}
	if p.region == "" {
		p.region = base.Region
	}
	if p.region == "" && p.plan == "" && len(p.regions) == 0 {
		return errors.New("no region is set; expected -region, AWS_REGION or a profile")
	}
	base.Region = p.region
	p.publisher.Clients = awsclient.New(base, "")
	return nil
}

// state reads the published state at uri.
func (p *publishing) state(ctx context.Context, uri string) (*publish.State, int) {
	src, err := publish.ParseSource(uri, p.region)
	if err != nil {
		return nil, p.fail(exitUsage, err)
	}
	s, err := p.publisher.State(ctx, src)
	if err != nil {
		return nil, p.fail(exitError, err)
	}
	return s, exitOK
}

// again returns a publish command with the options of this one.
func (p *publishing) again(verb, options, source string) string {
	words := "packer-plugin-ethminer publish " + verb
	if p.rehearsal != "" {
		words += " -rehearsal " + p.rehearsal
	}
	if p.region != "" {
		words += " -region " + p.region
	}
	return words + options + " " + source
}
