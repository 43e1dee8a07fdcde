// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bufio"
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
)

// exitMixed is returned by `publish status` if something differs from what was
// published, by `publish check` if publishing would fail, and by `publish rollback`
// if it was not confirmed.
const exitMixed = 3

const publishUsage = `packer-plugin-ethminer publish shows published templates and rolls them back.

  publish status   [options] s3://BUCKET/templates/latest/NAME   show the published state, and whether it is all one version
  publish history  [options] s3://BUCKET/templates/latest/NAME   list the publications, newest first
  publish rollback [options] s3://BUCKET/templates/latest/NAME   restore the previous latest, parameters and stack set
  publish run      [options] -plan FILE TEMPLATE                 publish with the plan that a failed build has written
  publish check    [options] -build REGION,... SETTINGS          check whether publishing would succeed after a build
  publish check    [options] -plan FILE TEMPLATE                 check whether publish run would succeed

BUCKET is the bucket of the first region; the prefix of the keys, if any, goes before templates/. Credentials and
AWS_ENDPOINT_URL are read as by the AWS CLI. SETTINGS is a JSON file with the options of ethminer-cfn; an HCL local can
read it with jsondecode(file("...")).

Exit codes:
  0  success; status: everything is at one version
  1  failure
  2  invalid command line
  3  status: something is at another version or keeps a parameter override; check: publishing would fail;
     rollback: not confirmed, nothing was changed

Options:
`

// publishOptions are the options of publish.
type publishOptions struct {
	region, rehearsal, to, plan string
	buildName, architecture     string
	regions                     []string
	yes, dryRun, json           bool
	count                       int
	parameters                  map[string]string
	overrides                   []publish.Override
}

func (o *publishOptions) commandLine() commandLine {
	f := newCommandLine("publish", publishUsage)
	f.StringVar(&o.region, "region", "", "the `region` of the bucket (default: the AWS CLI's)")
	f.StringVar(&o.rehearsal, "rehearsal", "", "use the rehearsal with this state `folder` instead of an account")
	f.BoolVar(&o.json, "json", false, "status, history: print JSON")
	f.IntVar(&o.count, "n", 20, "history: the maximum number of publications")
	f.StringVar(&o.to, "to", "", "rollback: the `version` to restore, or a unique prefix of it (default: the previous version)")
	f.BoolVar(&o.dryRun, "dry-run", false, "rollback, run: print the plan and change nothing")
	f.BoolVar(&o.yes, "yes", false, "rollback: do not ask for confirmation")
	f.StringVar(&o.plan, "plan", "", "run, check: the plan `file` of a failed build, NAME.publish.json")
	f.Func("build", "check: the comma-separated `regions` of the build's images", func(s string) error {
		o.regions = strings.Split(s, ",")
		for _, r := range o.regions {
			if !cfntemplate.IsRegion(r) {
				return fmt.Errorf("got %q, want a region such as us-east-1", r)
			}
		}
		return nil
	})
	f.StringVar(&o.buildName, "build-name", "", "check: the `name` of the build, for attributes")
	f.StringVar(&o.architecture, "architecture", "x86_64", "check: the `architecture` of the images, for attributes")
	o.parameters = map[string]string{}
	f.Func("parameter", "run, check: a parameter of the stack set, `NAME=VALUE`; can be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return errors.New("expected NAME=VALUE")
		}
		o.parameters[name] = value
		return nil
	})
	f.Func("override", "run, check: a parameter of some stacks of the set, `REGION/ACCOUNT/NAME=VALUE`; * is every region or account; can be repeated", func(s string) error {
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
		o.overrides = append(o.overrides, publish.NewOverride(some(parts[0]), some(parts[1]), map[string]string{parts[2]: value}))
		return nil
	})
	return f
}

// runPublish runs `packer-plugin-ethminer publish`.
func runPublish(ctx context.Context, args []string, std streams) int {
	var o publishOptions
	f := o.commandLine()
	verbs := map[string]func(*publishing, context.Context, string) int{
		"status": (*publishing).status, "history": (*publishing).history, "rollback": (*publishing).rollback, "run": (*publishing).publish, "check": (*publishing).check,
	}
	words, code, done := f.read(args, std)
	if done {
		return code
	}
	verb := verbs[first(words)]
	if verb == nil {
		return f.misused(std.err, fmt.Errorf("got %q, want status, history, rollback, run or check", first(words)))
	}
	name, words := words[0], words[1:]
	var err error
	switch {
	case len(words) != 1:
		err = fmt.Errorf("%s: got %d arguments, want one", name, len(words))
	case o.region != "" && !cfntemplate.IsRegion(o.region):
		err = fmt.Errorf("-region: got %q, want a region such as us-east-1", o.region)
	case name == "run" && o.plan == "":
		err = errors.New("-plan: not set; expected the file NAME.publish.json of a failed build")
	case name == "check" && (o.plan == "") == (len(o.regions) == 0):
		err = errors.New("expected either -build REGION,... and a settings file, or -plan FILE and the template")
	case unused(f.FlagSet, name) != nil:
		err = unused(f.FlagSet, name)
	case o.count < 1:
		err = fmt.Errorf("-n: got %d, want at least 1", o.count)
	}
	if err != nil {
		return f.misused(std.err, err)
	}
	p := &publishing{publishOptions: o, std: std, name: name}
	if err := p.connect(ctx); err != nil {
		fmt.Fprintf(std.err, "publish %s: %s\n", name, err)
		return exitError
	}
	return verb(p, ctx, words[0])
}

// publishFlags lists the verbs of each flag; a flag that is not listed works with all
// verbs.
var publishFlags = map[string][]string{
	"json": {"status", "history"}, "n": {"history"}, "to": {"rollback"}, "dry-run": {"rollback", "run"}, "yes": {"rollback", "run"},
	"plan": {"run", "check"}, "parameter": {"run", "check"}, "override": {"run", "check"}, "build": {"check"}, "build-name": {"check"}, "architecture": {"check"},
}

// unused rejects a flag that the verb would ignore.
func unused(f *flag.FlagSet, verb string) (err error) {
	f.Visit(func(set *flag.Flag) {
		if verbs, listed := publishFlags[set.Name]; listed && !slices.Contains(verbs, verb) {
			err = fmt.Errorf("-%s is an option of %s, not of %s", set.Name, strings.Join(verbs, " and "), verb)
		}
	})
	return err
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

func (p *publishing) fail(code int, err error) int {
	fmt.Fprintf(p.std.err, "publish %s: %s\n", p.name, err)
	return code
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

// agreed reports whether the user confirmed the plan.
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
