// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cfntemplate"
	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/sweep"
)

// exitLeft is returned by `sweep` if there is something to remove and it was
// not told to.
const exitLeft = 3

const sweepUsage = `packer-plugin-ethminer sweep removes what builds have left behind that died before they could clean up.

  sweep [options]

It takes resources that carry a build's id (the tag ethminer:build-id) and whose time has passed (the tag
ethminer:expires); of images and snapshots only those that their build has not marked as good. It prints them, and removes
them if --yes is given or the question is answered with y. Credentials, the region and AWS_ENDPOINT_URL are the AWS CLI's.

Exit codes: 0 nothing is left, 1 something could not be looked for or removed (the command that removes it is printed),
2 the command line was wrong, 3 something is left and was not to be removed.

Options:
`

// sweepOptions are the command line of sweep.
type sweepOptions struct {
	regions, rehearsal string
	all, yes, json     bool
	choice             sweep.Choice
}

func (o *sweepOptions) flags(w io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("sweep", flag.ContinueOnError)
	f.SetOutput(w)
	f.Usage = func() {
		fmt.Fprint(w, sweepUsage)
		f.PrintDefaults()
	}
	f.StringVar(&o.regions, "region", "", "the `regions` to look into, by commas (default that of the AWS CLI)")
	f.BoolVar(&o.all, "all-regions", false, "look into every region of the account")
	f.StringVar(&o.choice.BuildID, "build-id", "", "only what the build of that `id` has left, also before its time has passed")
	f.DurationVar(&o.choice.OlderThan, "older-than", 0, "only what expired at least that `duration` ago, such as 48h")
	f.BoolVar(&o.yes, "yes", false, "remove without a question")
	f.BoolVar(&o.json, "json", false, "print JSON: what was found, and what became of it; no question is asked")
	f.StringVar(&o.rehearsal, "rehearsal", "", "sweep the rehearsal of this state `folder` instead of an account")
	return f
}

// runSweep is `packer-plugin-ethminer sweep`.
func runSweep(ctx context.Context, args []string, std streams) int {
	var o sweepOptions
	f := o.flags(std.err)
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case f.NArg() > 0:
		err = fmt.Errorf("%q is one argument too many", f.Arg(0))
	case o.all && o.regions != "":
		err = errors.New("--region and --all-regions are one or the other")
	case o.choice.BuildID != "" && o.choice.OlderThan != 0:
		err = errors.New("--build-id and --older-than are one or the other")
	case badRegion(o.regions) != "":
		err = fmt.Errorf("--region %q; expected regions such as us-east-1, by commas", badRegion(o.regions))
	case o.choice.OlderThan < 0:
		err = fmt.Errorf("--older-than %s; expected a duration such as 48h", o.choice.OlderThan)
	}
	if err != nil {
		fmt.Fprintln(std.err, "sweep:", err)
		return exitUsage
	}
	clients, endpoint, err := o.connect(ctx)
	if err == nil && !o.all && o.regions == "" && clients.Region() == "" {
		fmt.Fprintln(std.err, "sweep: no region is set; expected --region, --all-regions, AWS_REGION or a profile")
		return exitUsage
	}
	if err != nil {
		fmt.Fprintln(std.err, "sweep:", err)
		return exitError
	}
	s := sweeping{sweepOptions: o, clients: clients, endpoint: endpoint, std: std}
	return s.run(ctx)
}

// badRegion is the first of the list that is no region's name.
func badRegion(list string) string {
	for region := range strings.SplitSeq(list, ",") {
		if list != "" && !cfntemplate.IsRegion(region) {
			return cmp.Or(region, list)
		}
	}
	return ""
}

// connect returns the clients, and the endpoint that the AWS CLI must be told
// of, if any.
func (o *sweepOptions) connect(ctx context.Context) (*ec2api.Clients, string, error) {
	if o.rehearsal != "" {
		session, err := rehearsal.Find(ctx, o.rehearsal)
		if err != nil {
			return nil, "", err
		}
		first, _, _ := strings.Cut(o.regions, ",")
		if first == "" {
			first = "us-east-1" // to ask for the regions
			o.all = true        // what is simulated is quickly looked through
		}
		return ec2api.New(session.AWSConfig(first), ""), session.Endpoint, nil
	}
	base, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("loading AWS credentials: %w", err)
	}
	if first, _, _ := strings.Cut(o.regions, ","); base.Region == "" {
		base.Region = first
	}
	if base.Region == "" && o.all {
		base.Region = "us-east-1"
	}
	return ec2api.New(base, ""), "", nil
}

// sweeping is one run of the command.
type sweeping struct {
	sweepOptions
	clients  *ec2api.Clients
	endpoint string
	std      streams
}

// found is what --json prints of a resource.
type found struct {
	sweep.Resource
	Removed bool   `json:"removed"`
	Error   string `json:"error,omitempty"`
	Command string `json:"command,omitempty"` // where it is still there
}

func (s *sweeping) run(ctx context.Context) int {
	regions, err := s.regionList(ctx)
	if err != nil {
		fmt.Fprintln(s.std.err, "sweep:", err)
		return exitError
	}
	plan, err := s.plan(ctx, regions)
	code := exitOK
	if err != nil {
		fmt.Fprintln(s.std.err, "sweep:", err)
		code = exitError
	}
	if !s.json {
		s.table(plan, regions)
	}
	if len(plan) == 0 {
		if s.json {
			return max(code, s.print(nil))
		}
		return code
	}
	if !s.yes && !s.ask(len(plan)) {
		if s.json {
			code = max(code, s.print(s.asFound(plan)))
		} else {
			fmt.Fprintln(s.std.out, "Nothing was removed; --yes removes it.")
		}
		if code == exitOK {
			code = exitLeft
		}
		return code
	}
	sweeper := sweep.Sweeper{
		Choice: s.choice,
		Client: func(region string) sweep.API { return s.clients.EC2(region) },
		IAM:    iam.NewFromConfig(*s.clients.Config()),
		Gone:   poll.Waiter{Interval: 2 * time.Second, Timeout: 15 * time.Minute},
		Free:   poll.Waiter{Interval: 2 * time.Second, Timeout: time.Minute},
		Now:    time.Now,
		Say:    s.say,
	}
	if s.rehearsal != "" {
		sweeper.Gone.Interval, sweeper.Free.Interval, sweeper.Free.Timeout = 100*time.Millisecond, 100*time.Millisecond, 5*time.Second
	}
	outcomes := sweeper.Remove(ctx, plan)
	all := make([]found, len(outcomes))
	for i, o := range outcomes {
		all[i] = found{Resource: o.Resource, Removed: o.Err == nil && o.Kept == "", Error: o.Kept}
		if o.Err != nil {
			all[i].Error, all[i].Command = o.Err.Error(), s.command(o.Resource)
			code = exitError
		}
	}
	if s.json {
		return max(code, s.print(all))
	}
	return code
}

// regionList is where to look.
func (s *sweeping) regionList(ctx context.Context) ([]string, error) {
	if !s.all {
		if s.regions == "" {
			return []string{s.clients.Region()}, nil
		}
		return strings.Split(s.regions, ","), nil
	}
	out, err := s.clients.EC2(s.clients.Region()).DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
	if err != nil {
		return nil, fmt.Errorf("asking for the account's regions: %w", err)
	}
	var regions []string
	for _, r := range out.Regions {
		regions = append(regions, aws.ToString(r.RegionName))
	}
	slices.Sort(regions)
	return regions, nil
}

// plan looks into all regions at once, and into IAM.
func (s *sweeping) plan(ctx context.Context, regions []string) ([]sweep.Resource, error) {
	now := time.Now()
	lists, failures := make([][]sweep.Resource, len(regions)), make([]error, len(regions))
	var wg sync.WaitGroup
	for i, region := range regions {
		wg.Go(func() { lists[i], failures[i] = sweep.Find(ctx, s.clients.EC2(region), region, s.choice, now) })
	}
	var global []sweep.Resource
	if s.rehearsal == "" { // which has no IAM
		var err error
		global, err = sweep.FindIAM(ctx, iam.NewFromConfig(*s.clients.Config()), s.choice, now)
		if err != nil { // few may, and few builds make something there
			fmt.Fprintln(s.std.err, "sweep: IAM was not looked into:", err)
		}
	}
	wg.Wait()
	return append(slices.Concat(lists...), global...), errors.Join(failures...)
}

func (s *sweeping) table(plan []sweep.Resource, regions []string) {
	if len(plan) == 0 {
		fmt.Fprintf(s.std.out, "Nothing is left of dead builds in %s.\n", strings.Join(regions, ", "))
		return
	}
	w := tabwriter.NewWriter(s.std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tID\tREGION\tBUILD\tSTATE\tWHAT\tSINCE\tEXPIRED")
	for _, r := range plan {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Kind, r.ID, r.Region, r.BuildID, r.State, r.Detail, stampOf(r.Since), stampOf(r.Expires))
	}
	_ = w.Flush()
}

func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// ask asks a person, if there is one.
func (s *sweeping) ask(count int) bool {
	if s.json || !s.std.person {
		return false
	}
	fmt.Fprintf(s.std.out, "Remove these %d? [y/N] ", count)
	answer, _ := bufio.NewReader(s.std.in).ReadString('\n')
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}

func (s *sweeping) say(o sweep.Outcome) {
	switch {
	case s.json:
	case o.Err != nil:
		fmt.Fprintf(s.std.err, "%s %s in %s: %s\n  %s\n", o.Kind, o.ID, o.Region, o.Err, s.command(o.Resource))
	case o.Kept != "":
		fmt.Fprintf(s.std.out, "kept %s %s in %s: %s\n", o.Kind, o.ID, o.Region, o.Kept)
	default:
		fmt.Fprintf(s.std.out, "removed %s %s in %s\n", o.Kind, o.ID, o.Region)
	}
}

// command is the AWS CLI's, which in a rehearsal is kept from an account.
func (s *sweeping) command(r sweep.Resource) string {
	if s.endpoint == "" {
		return r.Command()
	}
	return strings.Replace(r.Command(), "aws ", "aws --endpoint-url "+s.endpoint+" ", 1)
}

func (s *sweeping) asFound(plan []sweep.Resource) []found {
	all := make([]found, len(plan))
	for i, r := range plan {
		all[i] = found{Resource: r, Command: s.command(r)}
	}
	return all
}

// print writes the JSON.
func (s *sweeping) print(all []found) int {
	if all == nil {
		all = []found{}
	}
	e := json.NewEncoder(s.std.out)
	e.SetIndent("", "  ")
	if err := e.Encode(map[string][]found{"resources": all}); err != nil {
		fmt.Fprintln(s.std.err, "sweep:", err)
		return exitError
	}
	return exitOK
}

// isTerminal says that a person may be at the file.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
