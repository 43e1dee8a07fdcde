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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/preflight"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

const home = "eu-central-1"

// lab is an AWS in this process, and a plan that it has nothing against.
type lab struct {
	*testing.T
	aws     *rehearsal.Server
	clients *ec2api.Clients
	plan    preflight.Plan
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, aws: rehearsal.New(rehearsal.Config{Seed: "preflight"})}
	t.Cleanup(func() { _ = l.aws.Close() })
	l.clients = ec2api.New(l.aws.AWSConfig(home), "")
	l.plan = planFor(l.clients, home, "us-east-1")
	return l
}

func planFor(clients *ec2api.Clients, regions ...string) preflight.Plan {
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
			DryRun: func(ctx context.Context, image ec2types.Image, rung launch.Rung) error {
				_, err := clients.EC2(home).RunInstances(ctx, &ec2.RunInstancesInput{
					DryRun: dry, ImageId: image.ImageId, InstanceType: ec2types.InstanceType(rung.Type), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
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
			_, err := clients.EC2(region).CopyImage(ctx, &ec2.CopyImageInput{DryRun: dry, SourceRegion: aws.String(home), SourceImageId: known.Image.ImageId, Name: aws.String("wanted")})
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
				l.Errorf("the preflight has made %s %s in %s", r.Kind, r.ID, region)
			}
		}
	}
	return report
}

// want is a part of each error, and of each warning.
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
			l.Errorf("%d %s, want %d:\n%s", len(pair.got), pair.what, len(pair.want), strings.Join(pair.got, "\n"))
			continue
		}
		for i, part := range pair.want {
			if !strings.Contains(pair.got[i], part) {
				l.Errorf("%s: got %q, want %q", pair.what, pair.got[i], part)
			}
		}
	}
}

// calls is how many there were in a region, or in all.
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
		t.Errorf("the account is %q", report.Account)
	}
	want := []string{"credentials", "regions", "image name", "source image", "network", "instance types", "quotas", "permissions"}
	if !slices.Equal(report.Checks, want) {
		t.Errorf("made the checks %q, want %q", report.Checks, want)
	}
	if left := l.aws.Inventory(); len(left[home])+len(left["us-east-1"]) > 0 {
		t.Errorf("it made %v", left)
	}
}

// Each check finds what is wrong, over the real client.
func TestFindings(t *testing.T) {
	for _, test := range []struct {
		name           string
		given          func(l *lab)
		errs, warnings []string
	}{
		{"regions", func(l *lab) {
			l.plan.ImageRegions = []string{home, "af-south-1", "us-east-9"}
		}, []string{`ami_regions: the account has not opted in to "af-south-1"`, `ami_regions: AWS knows no region "us-east-9"`}, nil},
		{"the name is taken in a far region", func(l *lab) {
			source := l.source()
			_, err := l.clients.EC2("us-east-1").CopyImage(l.Context(), &ec2.CopyImageInput{SourceRegion: aws.String(home), SourceImageId: &source, Name: aws.String("wanted")})
			l.must(err)
		}, []string{`ami_name: "wanted" is taken in us-east-1 by ami-`}, nil},
		{"no such source image", func(l *lab) {
			l.plan.Launch.Source = preflight.Source{Attribute: "source_ami", Question: &ec2.DescribeImagesInput{ImageIds: []string{"ami-0123456789abcdef0"}}}
		}, []string{"source_ami: ami-0123456789abcdef0 is not in eu-central-1 (InvalidAMIID.NotFound); expected an image that this account can see there"}, nil},
		{"the wrong architecture", func(l *lab) {
			l.plan.Launch.Types = []string{"g5g.xlarge"}
		}, []string{"instance_types: g5g.xlarge is arm64, and the source image ami-"}, nil},
		{"the wrong architecture after a type that fits", func(l *lab) {
			l.plan.Launch.Types = []string{"g4dn.xlarge", "g5g.xlarge"}
		}, nil, []string{"instance_types: g5g.xlarge is arm64"}},
		{"a type that nobody has", func(l *lab) {
			l.plan.Launch.Types = []string{"g4dn.xlagre"}
		}, []string{`instance_types: eu-central-1 does not offer "g4dn.xlagre"`}, nil},
		{"a zone without the type, of two", func(l *lab) {
			l.places(launch.Place{Zone: home + "c"}, launch.Place{Zone: home + "a"})
		}, nil, []string{"g4dn.xlarge is not offered in eu-central-1c; expected zones that have it: eu-central-1a, eu-central-1b"}},
		{"a zone without the type, and no other", func(l *lab) {
			l.places(launch.Place{Zone: home + "c"})
		}, []string{"g4dn.xlarge is not offered in eu-central-1c"}, nil},
		{"a zone without the type that nobody named", func(l *lab) {
			l.plan.Launch.NamedPlaces = false
			l.places(launch.Place{}, launch.Place{Zone: home + "c"})
		}, nil, nil},
		{"the quota of a new account", func(l *lab) {
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 0})
		}, []string{`"Running On-Demand G and VT instances" (L-DB2E81BA) is 0 vCPUs, and g4dn.xlarge needs 4`}, nil},
		{"one of two quotas", func(l *lab) {
			l.plan.Launch.Markets = []launch.Market{launch.Spot, launch.OnDemand}
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-3819A6DF", Value: 2})
		}, nil, []string{`markets: spot in eu-central-1: the quota "All G and VT Spot Instance Requests" (L-3819A6DF) is 2 vCPUs`}},
		{"a quota that is in use", func(l *lab) {
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 10})
			source := l.source()
			_, err := l.clients.EC2(home).RunInstances(l.Context(), &ec2.RunInstancesInput{ImageId: &source, InstanceType: "g5.2xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
			l.must(err)
		}, []string{"is 10 vCPUs, of which 8 are in use, and g4dn.xlarge needs 4"}, nil},
		{"the network's own error", func(l *lab) {
			l.plan.Launch.Network = func(context.Context) (string, []launch.Place, error) {
				return "", nil, errors.New("vpc_filter: map[a:b] matches 2 VPCs; expected one")
			}
		}, []string{"vpc_filter: map[a:b] matches 2 VPCs; expected one"}, nil},
		{"no such subnet", func(l *lab) {
			l.places(launch.Place{Zone: home + "a", Subnet: "subnet-0123456789abcdef0"})
		}, []string{"subnet_id: subnet-0123456789abcdef0 is not in eu-central-1 (InvalidSubnetID.NotFound)"}, nil},
		{"a subnet that is good", func(l *lab) {
			l.places(launch.Place{Zone: home + "a", Subnet: l.subnet(home + "a")})
		}, nil, nil},
		{"a subnet of another zone", func(l *lab) {
			l.places(launch.Place{Zone: home + "a", Subnet: l.subnet(home + "b")})
		}, []string{"is in eu-central-1b, and not in eu-central-1a; expected a subnet of availability_zone"}, nil},
		{"keys", func(l *lab) {
			off := l.key("us-east-1", "")
			_, err := l.clients.KMS("us-east-1").DisableKey(l.Context(), &kms.DisableKeyInput{KeyId: &off})
			l.must(err)
			l.plan.Keys = []preflight.Key{
				{Attribute: "kms_key_id", Region: home, ID: "alias/nobodys", OfImage: true},
				{Attribute: "region_kms_key_ids", Region: "us-east-1", ID: off, OfImage: true},
				{Attribute: "kms_key_id", Region: home, ID: l.key(home, ""), OfImage: true},
				{Attribute: "kms_key_id", Region: home, ID: "alias/aws/ebs", OfImage: true},
			}
		}, []string{`kms_key_id: "alias/nobodys" is no key in eu-central-1 (NotFoundException)`, "in us-east-1 is Disabled"}, nil},
		{"keys of images that are shared", func(l *lab) {
			l.plan.Sharing.Users = []string{"444455556666"}
			l.plan.Keys = []preflight.Key{
				{Attribute: "kms_key_id", Region: home, OfImage: true},
				{Attribute: "region_kms_key_ids", Region: "us-east-1", ID: l.key("us-east-1", ""), OfImage: true},
				{Attribute: "region_kms_key_ids", Region: "us-east-1", ID: l.key("us-east-1", `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"444455556666"}}]}`), OfImage: true},
				{Attribute: "launch_block_device_mappings[0].kms_key_id", Region: home, OfImage: false},
			}
		}, []string{"kms_key_id: the image in eu-central-1 is to be shared, and encrypted with the account's default key for EBS"},
			[]string{"in us-east-1 does not name 444455556666, which get the image and cannot launch from it"}},
		{"a public image that is encrypted", func(l *lab) {
			l.plan.Sharing.Groups = []string{"all"}
			l.plan.Keys = []preflight.Key{{Attribute: "kms_key_id", Region: home, ID: l.key(home, ""), OfImage: true}}
		}, []string{`ami_groups: ["all"], but the images are encrypted`}, nil},
		{"images to share that the account encrypts", func(l *lab) {
			l.plan.Sharing.Users = []string{"444455556666"}
			for _, region := range []string{home, "us-east-1"} {
				_, err := l.clients.EC2(region).EnableEbsEncryptionByDefault(l.Context(), &ec2.EnableEbsEncryptionByDefaultInput{})
				l.must(err)
			}
			_, err := l.clients.EC2(home).ModifyEbsDefaultKmsKeyId(l.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: aws.String(l.key(home, ""))})
			l.must(err)
		}, []string{"encrypt_boot: the image in us-east-1 is to be shared, and the account encrypts by default there"}, nil},
		{"public access", func(l *lab) {
			l.plan.Sharing.Groups, l.plan.Sharing.SnapshotGroups = []string{"all"}, []string{"all"}
			_, err := l.clients.EC2("us-east-1").EnableImageBlockPublicAccess(l.Context(), &ec2.EnableImageBlockPublicAccessInput{ImageBlockPublicAccessState: "block-new-sharing"})
			l.must(err)
			_, err = l.clients.EC2(home).EnableSnapshotBlockPublicAccess(l.Context(), &ec2.EnableSnapshotBlockPublicAccessInput{State: "block-all-sharing"})
			l.must(err)
		}, []string{
			`snapshot_groups: ["all"], but eu-central-1 blocks public snapshots (block-all-sharing)`,
			`ami_groups: ["all"], but us-east-1 blocks public images (block-new-sharing); aws ec2 disable-image-block-public-access --region us-east-1`,
		}, nil},
		{"permissions", func(l *lab) {
			for _, action := range []string{"CreateKeyPair", "CopyImage", "RunInstances"} {
				l.refuse(action)
			}
		}, []string{
			"permissions: ec2:CreateKeyPair is not allowed in eu-central-1", "permissions: ec2:CopyImage is not allowed in us-east-1", "permissions: ec2:RunInstances is not allowed in eu-central-1, for g4dn.xlarge, on-demand",
		}, nil},
		{"a type that may not be launched after one that may", func(l *lab) {
			l.plan.Launch.Types = []string{"g4dn.xlarge", "g5.xlarge"}
			l.aws.AddFault(rehearsal.Fault{Action: "RunInstances", Where: map[string]string{"InstanceType": "g5.xlarge"}, Code: "UnauthorizedOperation"})
		}, nil, []string{"ec2:RunInstances is not allowed in eu-central-1, for g5.xlarge, on-demand"}},
		{"a type that may not be launched before one that may", func(l *lab) {
			l.plan.Launch.Types = []string{"g5.xlarge", "g4dn.xlarge"}
			l.aws.AddFault(rehearsal.Fault{Action: "RunInstances", Where: map[string]string{"InstanceType": "g5.xlarge"}, Code: "UnauthorizedOperation"})
		}, []string{"ec2:RunInstances is not allowed in eu-central-1, for g5.xlarge, on-demand"}, nil},
		{"several at once", func(l *lab) {
			l.plan.ImageRegions = append(l.plan.ImageRegions, "us-east-9")
			l.plan.Launch.Types = []string{"g5g.xlarge"}
			l.aws.AddFault(rehearsal.Fault{Region: home, Quota: "L-DB2E81BA", Value: 0})
			l.refuse("CreateKeyPair")
		}, []string{`AWS knows no region "us-east-9"`, "g5g.xlarge is arm64", "is 0 vCPUs", "ec2:CreateKeyPair is not allowed"}, nil},
		{"credentials that AWS does not take", func(l *lab) {
			config := l.aws.AWSConfig(home)
			config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIAOFNOBODY", SecretAccessKey: "x"}, nil
			})
			l.clients = ec2api.New(config, "")
			l.plan = planFor(l.clients, home, "us-east-1")
		}, []string{"credentials: AWS does not take them (AuthFailure); expected an access key that exists"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			test.given(l)
			report, err := preflight.Run(l.Context(), l.plan, l.cloud())
			if err != nil {
				t.Fatal(err)
			}
			l.want(report, test.errs, test.warnings)
		})
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

// What may not be asked, or is not answered, is a warning, whichever question
// it is.
func TestNothingThatIsNotKnownIsAnError(t *testing.T) {
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
	if len(actions) != 14 { // all but that for public images, which cannot be encrypted

		t.Errorf("only %v were asked", actions)
	}
	for action := range actions {
		for _, code := range []string{"UnauthorizedOperation", "AccessDeniedException", "RequestLimitExceeded"} {
			t.Run(action+" "+code, func(t *testing.T) {
				t.Parallel()
				if code == "RequestLimitExceeded" && (action == "DescribeImages" || action == "DescribeRegions") {
					t.Skip("the build cannot do without the answer")
				}
				l := newLab(t)
				everything(l)
				l.aws.AddFault(rehearsal.Fault{Action: action, Code: code})
				report := l.run()
				if err := report.Err(); err != nil {
					t.Errorf("an error: %v", err)
				}
				if len(report.Warnings()) == 0 {
					t.Error("no warning")
				}
			})
		}
	}
	// All of it at once is one line more, with one statement.
	l := newLab(t)
	everything(l)
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

// everything makes a plan that every check has a question about.
func everything(l *lab) {
	l.plan.Sharing.Users, l.plan.Sharing.SnapshotGroups = []string{"444455556666"}, []string{"all"}
	id := l.key(home, `{"Statement":[{"Effect":"Allow","Principal":"*"}]}`)
	l.plan.Keys = []preflight.Key{{Attribute: "kms_key_id", Region: home, ID: id}, {Attribute: "kms_key_id", Region: home, ID: id, OfImage: true}}
	_, err := l.clients.EC2("us-east-1").EnableEbsEncryptionByDefault(l.Context(), &ec2.EnableEbsEncryptionByDefaultInput{})
	l.must(err)
	_, err = l.clients.EC2("us-east-1").ModifyEbsDefaultKmsKeyId(l.Context(), &ec2.ModifyEbsDefaultKmsKeyIdInput{KmsKeyId: &id})
	l.must(err)
	l.places(launch.Place{Zone: home + "a", Subnet: l.subnet(home + "a")})
}

// What a plan does not want is not asked.
func TestNoNeedlessCalls(t *testing.T) {
	l := newLab(t)
	l.plan = preflight.Plan{BuildRegion: home, SkipRegions: true, ImageRegions: []string{"us-east-1"}}
	report, err := preflight.Run(t.Context(), l.plan, preflight.Cloud{EC2: l.cloud().EC2})
	if err != nil || len(report.Checks) > 0 || l.calls("", "") > 0 {
		t.Errorf("checks %q, calls %v, %v", report.Checks, l.aws.Calls(), err)
	}
	l.plan.SkipRegions, l.plan.ImageName, l.plan.Has = false, "wanted", map[string]bool{"us-east-1": true}
	l.run()
	if l.calls("us-east-1", "") != 0 || l.calls(home, "DescribeRegions") != 1 || l.calls("", "") != 2 {
		t.Errorf("calls %v", l.aws.Calls())
	}
}

func TestCancelled(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := preflight.Run(ctx, l.plan, l.cloud()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// regions are as many, each answered by one that the account has.
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

// The calls grow by two a region, and in the build's by one a way to launch.
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
			t.Errorf("%d regions, %d types: %d calls, want %d", regions, len(types), got, want)
		}
	}
}

func BenchmarkPreflight(b *testing.B) {
	for _, n := range []int{8, 32} {
		b.Run(fmt.Sprintf("%d regions", n), func(b *testing.B) {
			server := rehearsal.New(rehearsal.Config{Seed: "preflight"})
			defer func() { _ = server.Close() }()
			l := &lab{aws: server, clients: ec2api.New(server.AWSConfig(home), "")}
			l.plan = planFor(l.clients, l.regions(n)...)
			for b.Loop() {
				if report, err := preflight.Run(b.Context(), l.plan, l.cloud()); err != nil || report.Err() != nil {
					b.Fatal(err, report.Err())
				}
			}
		})
	}
}
