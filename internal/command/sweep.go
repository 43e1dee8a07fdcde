// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

const sweepAbout = `It finds resources that have a build id (tag ethminer:build-id) and have expired (tag ethminer:expires). Images and
snapshots are included only if their build has not marked them as good. It lists the resources, and removes them with -yes
or after confirmation. Resources of builds that have not expired are listed and kept; -build-id removes them too.
Credentials, the region and AWS_ENDPOINT_URL are read as by the AWS CLI.
`

// sweepVerb returns the command sweep.
func sweepVerb() verb {
	return verb{
		name: "sweep", summary: "remove the resources of builds that died before they could clean up", about: sweepAbout, options: sweepOptionsOf,
		exits: map[int]string{
			exitOK:          "no resources of dead builds are left in the regions searched; resources that have not expired do not count",
			exitError:       "a search or a removal failed (the command for each failed removal is printed)",
			exitUnconfirmed: "resources of dead builds are left, and their removal was not confirmed",
		},
	}
}

// sweepOptions are the options of sweep.
type sweepOptions struct {
	regions, rehearsal string
	all, yes           bool
	json               format
	choice             cleanup.Choice
}

func sweepOptionsOf(f *flag.FlagSet) action {
	o := new(sweepOptions)
	f.StringVar(&o.regions, "region", "", "the comma-separated `regions` to search (default: the AWS CLI's)")
	f.BoolVar(&o.all, "all-regions", false, "search every region of the account")
	f.StringVar(&o.choice.BuildID, "build-id", "", "only resources of the build with this `id`, even if they have not expired")
	f.DurationVar(&o.choice.OlderThan, "older-than", 0, "only resources that expired at least this `duration` ago, such as 48h")
	f.BoolVar(&o.yes, "yes", false, "remove without confirmation")
	o.json.declare(f) // json never prompts
	f.StringVar(&o.rehearsal, "rehearsal", "", "sweep the rehearsal with this state `folder` instead of an account")
	return o.run
}

func (o *sweepOptions) run(ctx context.Context, c *call) int {
	var err error
	switch {
	case len(c.words) > 0:
		err = fmt.Errorf("unexpected argument %q", c.words[0])
	case o.all && o.regions != "":
		err = errors.New("-region and -all-regions are mutually exclusive")
	case o.choice.BuildID != "" && o.choice.OlderThan != 0:
		err = errors.New("-build-id and -older-than are mutually exclusive")
	case checkRegions(o.regions) != nil:
		err = checkRegions(o.regions)
	case o.choice.BuildID != "" && !tags.IsBuildID(o.choice.BuildID):
		err = fmt.Errorf("-build-id: got %q, want the id that a build has printed, such as 6741f2a3-7c1e-4b0a-9f58-0d5c2f6f7b11", o.choice.BuildID)
	case o.choice.OlderThan < 0:
		err = fmt.Errorf("-older-than: got %s, want a duration such as 48h", o.choice.OlderThan)
	}
	if err != nil {
		return c.misused(err)
	}
	clients, endpoint, err := o.connect(ctx)
	if err == nil && !o.all && o.regions == "" && clients.Region() == "" {
		return c.fail(exitUsage, errors.New("no region is set; expected -region, -all-regions, AWS_REGION or a profile"))
	}
	if err != nil {
		return c.fail(exitError, err)
	}
	clients.ReportOutages(func(line string) { fmt.Fprintln(c.err, line) })
	s := sweeping{call: c, sweepOptions: *o, clients: clients, endpoint: endpoint}
	return s.sweep(ctx)
}

// checkRegions refuses a list with an entry that is not a region.
func checkRegions(list string) error {
	if list == "" {
		return nil
	}
	for name := range strings.SplitSeq(list, ",") {
		if err := region.Check("-region", name); err != nil {
			return err
		}
	}
	return nil
}

// sweepTimeout is how long a sweep waits for an instance to terminate.
const sweepTimeout = 15 * time.Minute

// connect returns the clients, and the endpoint to pass to the AWS CLI, if any.
func (o *sweepOptions) connect(ctx context.Context) (*awsclient.Clients, string, error) {
	if o.rehearsal != "" {
		session, err := rehearsal.Find(ctx, o.rehearsal)
		if err != nil {
			return nil, "", err
		}
		first, _, _ := strings.Cut(o.regions, ",")
		if first == "" {
			first = "us-east-1" // to list the regions
			o.all = true        // searching a rehearsal is fast
		}
		return awsclient.New(session.AWSConfig(first), ""), session.Endpoint, nil
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
	return awsclient.New(base, ""), "", nil
}

// sweeping is one run of the command.
type sweeping struct {
	*call
	sweepOptions
	clients  *awsclient.Clients
	endpoint string
	living   []cleanup.Resource // of builds that have not expired
	finished []cleanup.Resource // images of the build of -build-id
	missed   []notSearched
	shell    sync.Once // prints how to set a shell up for the commands
}

// found is a resource in the output of -o json.
type found struct {
	cleanup.Resource
	Removed bool   `json:"removed"`
	Error   string `json:"error,omitempty"`
	Command string `json:"command,omitempty"` // if it still exists
}

// notSearched is a part of the search that failed, in the output of -o json.
type notSearched struct {
	Region string       `json:"region"`
	Kind   cleanup.Kind `json:"kind,omitempty"` // all kinds if empty
	Error  string       `json:"error"`
}

// missing records the errors of a search in a region.
func (s *sweeping) missing(region string, err error) {
	if err == nil {
		return
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, err := range all {
		m := notSearched{Region: region, Error: err.Error()}
		var kind *cleanup.SearchError
		if errors.As(err, &kind) {
			m.Kind, m.Error = kind.Kind, kind.Err.Error()
		}
		s.missed = append(s.missed, m)
	}
}

func (s *sweeping) sweep(ctx context.Context) int {
	regions, err := s.regionList(ctx)
	if err != nil {
		if s.missing(s.clients.Region(), err); s.json {
			s.print(exitError, nil)
		}
		return s.fail(exitError, err)
	}
	plan, err := s.plan(ctx, regions)
	code := exitOK
	if err != nil {
		code = s.fail(exitError, err)
	}
	if !s.json {
		s.table(plan, regions)
	}
	if len(plan) == 0 {
		if s.json {
			return s.print(code, nil)
		}
		return code
	}
	if !s.yes && (bool(s.json) || !s.agreed(fmt.Sprintf("Remove %s?", counted(len(plan), "resource")))) {
		if code == exitOK {
			code = exitUnconfirmed
		}
		if s.json {
			return s.print(code, s.asFound(plan))
		}
		fmt.Fprintln(s.err, "Nothing was removed; confirm with -yes.")
		return code
	}
	sweeper := cleanup.Sweeper{
		Choice: s.choice,
		Client: func(region string) cleanup.API { return s.clients.EC2(region) },
		IAM:    s.clients.IAM(),
		Gone:   poll.Waiter{Interval: 2 * time.Second, Timeout: sweepTimeout},
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
		return s.print(code, all)
	}
	return code
}

// regionList returns the regions to search.
func (s *sweeping) regionList(ctx context.Context) ([]string, error) {
	if !s.all {
		if s.regions == "" {
			return []string{s.clients.Region()}, nil
		}
		return strings.Split(s.regions, ","), nil
	}
	out, err := s.clients.EC2(s.clients.Region()).DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
	if err != nil {
		return nil, fmt.Errorf("listing the account's regions: %w", err)
	}
	var regions []string
	for _, r := range out.Regions {
		regions = append(regions, aws.ToString(r.RegionName))
	}
	slices.Sort(regions)
	return regions, nil
}

// plan searches all regions at once, and IAM.
func (s *sweeping) plan(ctx context.Context, regions []string) ([]cleanup.Resource, error) {
	now := time.Now()
	seen, failures := make([]cleanup.Seen, len(regions)), make([]error, len(regions))
	var wg sync.WaitGroup
	for i, region := range regions {
		wg.Go(func() {
			seen[i], failures[i] = cleanup.Look(ctx, s.clients.EC2(region), region, s.choice, now)
		})
	}
	global, young, err := cleanup.LookIAM(ctx, s.clients.IAM(), s.choice, now)
	if err != nil { // few users have the permission, and few builds create IAM resources
		fmt.Fprintln(s.err, "sweep: IAM was not searched:", err)
	}
	wg.Wait()
	var all []cleanup.Resource
	for i, region := range regions {
		s.missing(region, failures[i])
		all = append(all, seen[i].Leftovers...)
		s.living = append(s.living, seen[i].Living...)
		s.finished = append(s.finished, seen[i].Finished...)
	}
	s.missing(cleanup.Global, err)
	s.living = append(s.living, young...)
	return append(all, global...), errors.Join(failures...)
}

func (s *sweeping) table(plan []cleanup.Resource, regions []string) {
	if len(plan) > 0 {
		s.list(plan, "EXPIRED")
	} else if complete := s.searched(regions); len(complete) > 0 {
		fmt.Fprintf(s.out, "No resources of dead builds in %s.\n", strings.Join(complete, ", "))
	}
	for _, region := range regions {
		if kinds := s.missedIn(region); len(kinds) > 0 {
			fmt.Fprintf(s.err, "Search incomplete in %s: could not list %s.\n", region, strings.Join(kinds, ", "))
		}
	}
	if len(s.finished) > 0 {
		fmt.Fprintf(s.out, "Kept: %s of the build, which a sweep does not remove. To remove one, with its snapshots:\n", counted(len(s.finished), "finished image"))
		for _, r := range s.finished {
			fmt.Fprintf(s.out, "  %s\n", s.command(r))
		}
	}
	if len(s.living) == 0 {
		return
	}
	fmt.Fprintf(s.out, "Not expired: %s of builds that may still be running.\n", counted(len(s.living), "resource"))
	s.list(s.living, "EXPIRES")
	fmt.Fprintln(s.out, "To remove the resources of a build that is no longer running:")
	var builds []string
	for _, r := range s.living {
		if !slices.Contains(builds, r.BuildID) {
			builds = append(builds, r.BuildID)
			fmt.Fprintf(s.out, "  packer-plugin-ethminer sweep -build-id %s %s\n", shellquote.Word(r.BuildID), s.where())
		}
	}
}

// missedIn returns the kinds that could not be listed in a region.
func (s *sweeping) missedIn(region string) (kinds []string) {
	for _, m := range s.missed {
		if m.Region == region {
			kinds = append(kinds, string(m.Kind)+"s")
		}
	}
	return kinds
}

// searched returns the regions that were searched for all kinds.
func (s *sweeping) searched(regions []string) []string {
	return slices.DeleteFunc(slices.Clone(regions), func(region string) bool { return len(s.missedIn(region)) > 0 })
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// where returns the options that make a sweep search the same place.
func (s *sweeping) where() string {
	switch {
	case s.rehearsal != "":
		return "-rehearsal " + shellquote.Word(s.rehearsal)
	case s.all:
		return "-all-regions"
	}
	return "-region " + shellquote.Word(cmp.Or(s.regions, s.clients.Region()))
}

func (s *sweeping) list(plan []cleanup.Resource, expiry string) {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tID\tREGION\tBUILD\tSTATE\tWHAT\tSINCE\t"+expiry)
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

func (s *sweeping) say(o cleanup.Outcome) {
	switch {
	case bool(s.json):
	case o.Err != nil:
		if s.rehearsal != "" {
			s.shell.Do(func() {
				fmt.Fprintf(s.err, "The commands need the credentials of the rehearsal:\n  %s\n", rehearsal.Shell(s.rehearsal))
			})
		}
		fmt.Fprintf(s.err, "%s %s in %s: %s\n  %s\n", o.Kind, o.ID, o.Region, o.Err, s.command(o.Resource))
	case o.Kept != "":
		fmt.Fprintf(s.out, "kept %s %s in %s: %s\n", o.Kind, o.ID, o.Region, o.Kept)
	default:
		fmt.Fprintf(s.out, "removed %s %s in %s\n", o.Kind, o.ID, o.Region)
	}
}

// command returns the AWS CLI command that removes a resource. In a rehearsal it
// uses the rehearsal's endpoint.
func (s *sweeping) command(r cleanup.Resource) string {
	return awsclient.PointCommands(r.Command(), s.endpoint)
}

func (s *sweeping) asFound(plan []cleanup.Resource) []found {
	all := make([]found, len(plan))
	for i, r := range plan {
		all[i] = found{Resource: r, Command: s.command(r)}
	}
	return all
}

// print prints the JSON, and returns the code.
func (s *sweeping) print(code int, all []found) int {
	return s.printJSON(code, map[string]any{
		"resources": list(all), "not_expired": list(s.living), "finished": list(s.finished), "errors": list(s.missed),
	})
}

// list returns a list that JSON encodes as [] instead of null.
func list[T any](all []T) []T { return append([]T{}, all...) }

// isTerminal reports whether the file may be a terminal.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
