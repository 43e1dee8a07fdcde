// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/publish"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// exitMixed is returned by `publish status` if something is not as it was
// published, and by `publish rollback` if it was not told to do it.
const exitMixed = 3

const publishUsage = `packer-plugin-ethminer publish looks at what was published, and goes back.

  publish status   [options] s3://BUCKET/templates/latest/NAME   what is where, and whether it is all of one version
  publish history  [options] s3://BUCKET/templates/latest/NAME   what was published, the newest first
  publish rollback [options] s3://BUCKET/templates/latest/NAME   latest, parameters and stack set back to the version before
  publish run      [options] -plan FILE TEMPLATE                 what a build could not publish, with the file that it left

The bucket is that of the first region, which decides; the prefix of the keys goes before templates/. Credentials and
AWS_ENDPOINT_URL are the AWS CLI's.

Exit codes: 0 done, and all of one version, 1 it could not be done, 2 the command line was wrong, 3 something is not of
the version (status), or nothing was done since nobody agreed (rollback).

Options:
`

// publishOptions are the command line of publish.
type publishOptions struct {
	region, rehearsal, to, plan string
	yes, dryRun, json           bool
	count                       int
	parameters                  map[string]string
}

func (o *publishOptions) flags(w io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("publish", flag.ContinueOnError)
	f.SetOutput(w)
	f.Usage = func() {
		fmt.Fprint(w, publishUsage)
		f.PrintDefaults()
	}
	f.StringVar(&o.region, "region", "", "the `region` of the bucket (default that of the AWS CLI)")
	f.StringVar(&o.rehearsal, "rehearsal", "", "use the rehearsal of this state `folder` instead of an account")
	f.BoolVar(&o.json, "json", false, "status, history: print JSON")
	f.IntVar(&o.count, "n", 20, "history: how many")
	f.StringVar(&o.to, "to", "", "rollback: to this `version`, or the only one that begins so (default the one before)")
	f.BoolVar(&o.dryRun, "dry-run", false, "rollback, run: print the plan and do nothing")
	f.BoolVar(&o.yes, "yes", false, "rollback: without a question")
	f.StringVar(&o.plan, "plan", "", "run: the `file` that a build has left, NAME.publish.json")
	o.parameters = map[string]string{}
	f.Func("parameter", "run: a parameter of the stack set, `NAME=VALUE`; as often as needed", func(s string) error {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return errors.New("expected NAME=VALUE")
		}
		o.parameters[name] = value
		return nil
	})
	return f
}

// runPublish is `packer-plugin-ethminer publish`.
func runPublish(ctx context.Context, args []string, std streams) int {
	var o publishOptions
	f := o.flags(std.err)
	verbs := map[string]func(*publishing, context.Context, string) int{
		"status": (*publishing).status, "history": (*publishing).history, "rollback": (*publishing).rollback, "run": (*publishing).publish,
	}
	if len(args) == 0 {
		f.Usage()
		return exitUsage
	}
	if slices.Contains([]string{"-h", "--help", "help"}, args[0]) {
		f.Usage()
		return exitOK
	}
	verb, ok := verbs[args[0]]
	if !ok {
		fmt.Fprintf(std.err, "publish: %q; expected status, history, rollback or run\n", args[0])
		return exitUsage
	}
	err := f.Parse(args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case f.NArg() != 1:
		err = fmt.Errorf("%d arguments; expected one, before which the options stand", f.NArg())
	case o.region != "" && !cfntemplate.IsRegion(o.region):
		err = fmt.Errorf("-region %q; expected a region such as us-east-1", o.region)
	case (args[0] == "run") != (o.plan != ""):
		err = errors.New("-plan FILE goes with run, and run needs it")
	case o.count < 1:
		err = fmt.Errorf("-n %d; expected at least 1", o.count)
	}
	if err != nil {
		fmt.Fprintf(std.err, "publish %s: %s\n", args[0], err)
		return exitUsage
	}
	p := &publishing{publishOptions: o, std: std, name: args[0]}
	if err := p.connect(ctx); err != nil {
		fmt.Fprintf(std.err, "publish %s: %s\n", args[0], err)
		return exitError
	}
	return verb(p, ctx, f.Arg(0))
}

// publishing is one run of the command.
type publishing struct {
	publishOptions
	std       streams
	name      string
	publisher publish.Publisher
}

func (p *publishing) connect(ctx context.Context) error {
	p.publisher.Say = func(s string) { fmt.Fprintln(p.std.out, s) }
	if p.json {
		p.publisher.Say = func(s string) { fmt.Fprintln(p.std.err, s) }
	}
	if p.rehearsal != "" {
		session, err := rehearsal.Find(ctx, p.rehearsal)
		if err != nil {
			return err
		}
		if p.region == "" {
			p.region = "us-east-1"
		}
		p.publisher.Interval = 100 * time.Millisecond // its time is not AWS's
		p.publisher.Clients = ec2api.New(session.AWSConfig(p.region), "")
		return nil
	}
	base, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("loading AWS credentials: %w", err)
	}
	if p.region == "" {
		p.region = base.Region
	}
	if p.region == "" && p.plan == "" {
		return errors.New("no region is set; expected -region, AWS_REGION or a profile")
	}
	base.Region = p.region
	p.publisher.Clients = ec2api.New(base, "")
	return nil
}

// state reads what is published at uri.
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

func (p *publishing) fail(code int, err error) int {
	fmt.Fprintf(p.std.err, "publish %s: %s\n", p.name, err)
	return code
}

// agreed says whether the plan is to be carried out.
func (p *publishing) agreed(question string) bool {
	if p.yes {
		return true
	}
	if !p.std.person {
		return false
	}
	fmt.Fprint(p.std.out, question+" [y/N] ")
	answer, _ := bufio.NewReader(p.std.in).ReadString('\n')
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}
