// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

const home = "eu-central-1"

// lab is a fake AWS in this process and a plan without findings.
type lab struct {
	*testing.T
	aws     *rehearsal.Server
	clients *awsclient.Clients
	plan    preflight.Plan
}

// sdk returns the SDK's client of a region, for calls that no build makes.
func (l *lab) sdk(region string) *ec2.Client {
	return ec2.NewFromConfig(*l.clients.Config(), func(o *ec2.Options) { o.Region = region })
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, aws: rehearsal.New(rehearsal.Config{Seed: "preflight"})}
	t.Cleanup(func() { _ = l.aws.Close() })
	config := l.aws.AWSConfig(home)
	config.Retryer = func() aws.Retryer { // as the SDK's own, without its pauses
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
		})
	}
	l.clients = awsclient.New(config, "")
	l.plan = planFor(l.clients, home, "us-east-1")
	return l
}

func planFor(clients *awsclient.Clients, regions ...string) preflight.Plan {
	dry := aws.Bool(true)
	plan := preflight.Plan{
		BuildRegion: home, ImageRegions: regions, ImageName: "wanted",
		Launch: &preflight.Launch{
			Types: []string{"g4dn.xlarge"}, Markets: []launch.Market{launch.OnDemand}, NamedPlaces: true,
			Network: func(context.Context) (string, []launch.Place, error) {
				return "", []launch.Place{{Zone: home + "a"}}, nil
			},
			Source: preflight.Source{Attribute: "source_ami_filter", MostRecent: true, Question: &ec2.DescribeImagesInput{
				Owners: []string{"099720109477"}, Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{"*ubuntu-noble-24.04-amd64-server-*"}}},
			}},
			DryRun: func(ctx context.Context, image ec2types.Image, attempt launch.Attempt) error {
				_, err := clients.EC2(home).RunInstances(ctx, &ec2.RunInstancesInput{
					DryRun: dry, ImageId: image.ImageId, InstanceType: ec2types.InstanceType(attempt.Type), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
				})
				return err
			},
		},
		Calls: []preflight.DryRun{{Action: "ec2:CreateKeyPair", Region: home, Call: func(ctx context.Context, _ preflight.Known) error {
			_, err := clients.EC2(home).CreateKeyPair(ctx, &ec2.CreateKeyPairInput{DryRun: dry, KeyName: aws.String("temporary")})
			return err
		}}},
	}
	for _, region := range regions[1:] {
		plan.Calls = append(plan.Calls, preflight.DryRun{Action: "ec2:CopyImage", Region: region, OfImage: true, Call: func(ctx context.Context, known preflight.Known) error {
			_, err := clients.EC2(region).CopyImage(ctx, &ec2.CopyImageInput{DryRun: dry, SourceRegion: aws.String(home), SourceImageId: aws.String(aws.ToString(known.Image.ImageId)), Name: aws.String("wanted")})
			return err
		}})
	}
	return plan
}

func (l *lab) cloud() preflight.Cloud {
	return preflight.Cloud{
		EC2:    func(region string) preflight.EC2 { return l.clients.EC2(region) },
		Keys:   func(region string) preflight.Keyring { return l.clients.KMS(region) },
		Quotas: l.clients.Quotas(), Identity: l.clients.STS(),
	}
}

func (l *lab) run() preflight.Report {
	l.Helper()
	report, err := preflight.Run(l.Context(), l.plan, l.cloud())
	if err != nil {
		l.Fatal(err)
	}
	for region, resources := range l.aws.Inventory() {
		for _, r := range resources {
			if r.Leaked() {
				l.Errorf("the preflight created %s %s in %s", r.Kind, r.ID, region)
			}
		}
	}
	return report
}

// want checks that the errors and warnings contain the expected parts.
func (l *lab) want(report preflight.Report, errs, warnings []string) {
	l.Helper()
	var got []string
	for _, f := range report.Findings {
		if !f.Warning {
			got = append(got, f.String())
		}
	}
	for _, pair := range []struct {
		what      string
		got, want []string
	}{{"errors", got, errs}, {"warnings", report.Warnings(), warnings}} {
		if len(pair.got) != len(pair.want) {
			l.Errorf("got %d %s, want %d:\n%s", len(pair.got), pair.what, len(pair.want), strings.Join(pair.got, "\n"))
			continue
		}
		for i, part := range pair.want {
			if !strings.Contains(pair.got[i], part) {
				l.Errorf("%s: got %q, want %q", pair.what, pair.got[i], part)
			}
		}
	}
}

// calls returns the number of calls in a region, or in all regions.
func (l *lab) calls(region, action string) (n int) {
	for r, actions := range l.aws.Calls() {
		for a, times := range actions {
			if (region == "" || r == region) && (action == "" || a == action) {
				n += times
			}
		}
	}
	return n
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// launch launches an instance and returns its id.
func (l *lab) launch(kind string, at *ec2types.Placement) string {
	l.Helper()
	source := l.source()
	out, err := l.clients.EC2(home).RunInstances(l.Context(), &ec2.RunInstancesInput{
		ImageId: &source, InstanceType: ec2types.InstanceType(kind), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), Placement: at,
	})
	l.must(err)
	return *out.Instances[0].InstanceId
}

func (l *lab) key(region, policy string) string {
	l.Helper()
	out, err := l.clients.KMS(region).CreateKey(l.Context(), &kms.CreateKeyInput{Policy: aws.String(policy)})
	l.must(err)
	return *out.KeyMetadata.KeyId
}

func TestNothingFound(t *testing.T) {
	l := newLab(t)
	report := l.run()
	l.want(report, nil, nil)
	if !strings.HasSuffix(report.Account, ":user/rehearsal") {
		t.Errorf("got account %q", report.Account)
	}
	want := []string{"credentials", "regions", "image name", "source image", "network", "instance types", "quotas", "permissions"}
	if !slices.Equal(report.Checks, want) {
		t.Errorf("got checks %q, want %q", report.Checks, want)
	}
	if left := l.aws.Inventory(); len(left[home])+len(left["us-east-1"]) > 0 {
		t.Errorf("got resources %v, want none", left)
	}
}

// TestDryRuns: one dry run for each type and market suffices. Without a source image,
// the dry runs that need it are skipped.
func TestDryRuns(t *testing.T) {
	l := newLab(t)
	l.places(launch.Place{}, launch.Place{Zone: home + "a"}, launch.Place{Zone: home + "b"})
	l.plan.Launch.Types, l.plan.Launch.Markets = []string{"g4dn.xlarge", "g5.xlarge"}, []launch.Market{launch.OnDemand, launch.Spot}
	l.run()
	if n, copies := l.calls(home, "RunInstances (dry run)"), l.calls("us-east-1", "CopyImage (dry run)"); n != 4 || copies != 1 {
		t.Errorf("got %d dry runs of launches, want 4, and %d of a copy, want 1", n, copies)
	}
	l.plan.Launch.Source.Question.Owners = []string{"self"}
	l.run()
	if n, copies := l.calls(home, "RunInstances (dry run)"), l.calls("us-east-1", "CopyImage (dry run)"); n != 4 || copies != 1 {
		t.Errorf("without a source image: got %d and %d dry runs, want none", n-4, copies-1)
	}
}

func (l *lab) places(places ...launch.Place) {
	l.plan.Launch.Network = func(context.Context) (string, []launch.Place, error) { return "", places, nil }
}

func (l *lab) refuse(action string) {
	l.aws.AddFault(rehearsal.Fault{Action: action, Code: "UnauthorizedOperation"})
}

func (l *lab) source() string {
	l.Helper()
	out, err := l.clients.EC2(home).DescribeImages(l.Context(), l.plan.Launch.Source.Question)
	l.must(err)
	return *out.Images[0].ImageId
}

func (l *lab) subnet(zone string) string {
	l.Helper()
	out, err := l.clients.EC2(home).DescribeSubnets(l.Context(), &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: aws.String("availability-zone"), Values: []string{zone}}}})
	l.must(err)
	return *out.Subnets[0].SubnetId
}

// TestFailedLookupIsAWarning: a denied or failed look-up is a warning, for every
// action but one that the build requires.
func TestFailedLookupIsAWarning(t *testing.T) {
	clean := newLab(t)
	everything(clean)
	clean.run()
	actions := map[string]bool{}
	for _, made := range clean.aws.Calls() {
		for action := range made {
			if !strings.HasSuffix(action, "(dry run)") && !strings.HasPrefix(action, "Create") && !strings.Contains(action, "Ebs") || strings.HasPrefix(action, "GetEbs") {
				actions[action] = true
			}
		}
	}
	if len(actions) != 14 { // all but the one for public images, which cannot be encrypted
		t.Errorf("got actions %v, want 14", actions)
	}
	for action := range actions {
		for _, code := range []string{"UnauthorizedOperation", "AccessDeniedException", "RequestLimitExceeded"} {
			if code == "RequestLimitExceeded" && (action == "DescribeImages" || action == "DescribeRegions") {
				continue // the build requires the response
			}
			t.Run(action+" "+code, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				everything(l)
				l.aws.AddFault(rehearsal.Fault{Action: action, Code: code})
				report := l.run()
				if action == "DescribeImages" { // a build waits for images with it
					l.want(report, []string{"permissions: ec2:DescribeImages is not allowed in eu-central-1, us-east-1; allow {"}, nil)
					return
				}
				if err := report.Err(); err != nil {
					t.Errorf("got error %v, want a warning", err)
				}
				if len(report.Warnings()) == 0 {
					t.Error("got no warning")
				}
			})
		}
	}
	// All denied actions together are one warning with one statement.
	l := newLab(t)
	everything(l)
	delete(actions, "DescribeImages")
	for action := range actions {
		l.aws.AddFault(rehearsal.Fault{Action: action, Code: "UnauthorizedOperation"})
	}
	report := l.run()
	l.want(report, nil, []string{"not checked, as the credentials do not allow it: "})
	for _, action := range []string{"ec2:DescribeInstanceTypeOfferings", "servicequotas:GetServiceQuota", "kms:DescribeKey", "ec2:GetSnapshotBlockPublicAccessState"} {
		if !strings.Contains(report.Warnings()[0], `"`+action+`"`) {
			t.Errorf("the statement lacks %s: %s", action, report.Warnings()[0])
		}
	}
}

// everything makes a plan that triggers every check.
func everything(l *lab) {
	l.plan.Sharing.Users, l.plan.Sharing.SnapshotGroups = []string{"444455556666"}, []string{"all"}
	id := l.key(home, `{"Statement":[{"Effect":"Allow","Principal":"*"}]}`)
	l.plan.Keys = []preflight.Key{{Attribute: "kms_key_id", Region: home, ID: id}, {Attribute: "kms_key_id", Region: home, ID: id, OfImage: true}}
	_, err := l.sdk("us-east-1").EnableEbsEncryptionByDefault(l.Context(), &ec2.EnableEbsEncryptionByDefaultInput{})
	l.must(err)
	_, err = l.sdk("us-east-1").ModifyEbsDefaultKmsKeyId(l.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: &id})
	l.must(err)
	l.places(launch.Place{Zone: home + "a", Subnet: l.subnet(home + "a")})
}

// TestNoNeedlessCalls: checks that do not apply to the plan make no calls.
func TestNoNeedlessCalls(t *testing.T) {
	l := newLab(t)
	l.plan = preflight.Plan{BuildRegion: home, SkipRegions: true, ImageRegions: []string{"us-east-1"}}
	report, err := preflight.Run(t.Context(), l.plan, preflight.Cloud{EC2: l.cloud().EC2})
	if err != nil || len(report.Checks) > 0 || l.calls("", "") > 0 {
		t.Errorf("got checks %q, calls %v, error %v", report.Checks, l.aws.Calls(), err)
	}
	l.plan.Sharing.Users, l.plan.Has = []string{"444455556666"}, map[string]bool{"us-east-1": true}
	l.run()
	if n := l.calls("", "GetEbsEncryptionByDefault"); n > 0 {
		t.Errorf("got %d look-ups of the encryption of an existing image, want 0", n)
	}
	l.plan.Sharing.Users = nil
	calls := l.calls("", "")
	l.plan.SkipRegions, l.plan.ImageName, l.plan.Has = false, "wanted", map[string]bool{"us-east-1": true}
	l.run()
	if l.calls("us-east-1", "") != 0 || l.calls(home, "DescribeRegions") != 1 || l.calls("", "") != calls+2 {
		t.Errorf("got calls %v", l.aws.Calls())
	}
}

func TestCancelled(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := preflight.Run(ctx, l.plan, l.cloud()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// regions returns n region names. Names repeat if n exceeds the account's regions.
func (l *lab) regions(n int) []string {
	out, err := l.clients.EC2(home).DescribeRegions(context.Background(), &ec2.DescribeRegionsInput{})
	if err != nil {
		panic(err)
	}
	regions := []string{home}
	for i := 0; len(regions) < n; i++ {
		if name := *out.Regions[i%len(out.Regions)].RegionName; name != home {
			regions = append(regions, name)
		}
	}
	return regions
}

// TestCalls: each region adds two calls, and each further instance type adds one.
func TestCalls(t *testing.T) {
	count := func(regions int, types ...string) int {
		l := newLab(t)
		l.plan = planFor(l.clients, l.regions(regions)...)
		l.plan.Launch.Types = types
		before := l.calls("", "")
		l.want(l.run(), nil, nil)
		return l.calls("", "") - before
	}
	const fixed = 9 // identity, regions, source, types, offerings, quota, running, key pair, launch
	for regions, types := range map[int][]string{
		1: {"g4dn.xlarge"}, 8: {"g4dn.xlarge"}, 32: {"g4dn.xlarge", "g5.xlarge", "g6.xlarge"},
	} {
		want := fixed + (len(types) - 1) + 2*regions - 1 // no copy to the build's own
		if got := count(regions, types...); got != want {
			t.Errorf("%d regions, %d types: got %d calls, want %d", regions, len(types), got, want)
		}
	}
}

func BenchmarkPreflight(b *testing.B) {
	for _, n := range []int{8, 32} {
		b.Run(fmt.Sprintf("%d regions", n), func(b *testing.B) {
			server := rehearsal.New(rehearsal.Config{Seed: "preflight"})
			defer func() { _ = server.Close() }()
			l := &lab{aws: server, clients: awsclient.New(server.AWSConfig(home), "")}
			l.plan = planFor(l.clients, l.regions(n)...)
			for b.Loop() {
				if report, err := preflight.Run(b.Context(), l.plan, l.cloud()); err != nil || report.Err() != nil {
					b.Fatal(err, report.Err())
				}
			}
		})
	}
}
