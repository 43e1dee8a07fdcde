// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

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
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// wantFindings checks that each finding contains the expected part.
func wantFindings(t *testing.T, got []Finding, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %d findings, want %d: %q", len(got), len(want), got)
		return
	}
	for i, part := range want {
		if !strings.Contains(got[i].String(), part) {
			t.Errorf("got %q, want %q", got[i], part)
		}
	}
}

func coded(code, message string) error {
	return fmt.Errorf("operation error: %w", &smithy.GenericAPIError{Code: code, Message: message})
}

func TestDecide(t *testing.T) {
	places := []launch.Place{{Zone: "a"}, {Zone: "b"}}
	attempts := launch.Attempts([]string{"one", "two"}, []launch.Market{launch.OnDemand}, places)
	inA := func(r launch.Attempt) bool { return r.Place.Zone == "a" }
	inB := func(r launch.Attempt) bool { return r.Place.Zone == "b" }
	first := func(r launch.Attempt) bool { return r == attempts[0] }
	for _, test := range []struct {
		name     string
		findings []Finding
		errs     []bool // whether each remaining finding is an error
	}{
		{"unrelated to the launch", []Finding{{}}, []bool{true}},
		{"one type of two", []Finding{{hits: ofType("one")}}, []bool{false}},
		{"both types", []Finding{{hits: ofType("one")}, {hits: ofType("two")}}, []bool{true, true}},
		{"one type everywhere, the other in each zone", []Finding{{hits: ofType("one")}, {hits: inA}, {hits: inB}}, []bool{true, true, true}},
		{"one launch option remains", []Finding{{hits: ofType("one")}, {hits: inA}}, []bool{false, false}},
		{"EC2 stops at the first type", []Finding{{hits: ofType("one"), stops: true}}, []bool{true}},
		{"EC2 would stop at the second type, but the first works", []Finding{{hits: ofType("two"), stops: true}}, []bool{false}},
		{"EC2 would stop at the second type, and the first fails in one zone", []Finding{{hits: ofType("two"), stops: true}, {hits: first}}, []bool{false, false}},
		{"an implicit zone", []Finding{{hits: inA, quiet: true}}, nil},
		{"all implicit zones", []Finding{{hits: inA, quiet: true}, {hits: inB, quiet: true}}, []bool{true, true}},
		{"an implicit zone, and another problem in all zones", []Finding{{hits: inA, quiet: true}, {hits: ofType("one")}, {hits: ofType("two")}}, []bool{true, true}},
		{"an implicit zone, and another problem in the other", []Finding{{hits: inA, quiet: true}, {hits: inB}}, []bool{true}},
		{"implicit zones of one type", []Finding{
			{hits: func(r launch.Attempt) bool { return r.Type == "one" }, quiet: true}, {hits: ofType("two")},
		}, []bool{true, true}},
		{"a warning stays one", []Finding{{Warning: true}}, []bool{false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Report{Findings: test.findings}
			r.decide(attempts)
			var errs []bool
			for _, f := range r.Findings {
				errs = append(errs, !f.Warning)
			}
			if !slices.Equal(errs, test.errs) {
				t.Errorf("got errors %v, want %v", errs, test.errs)
			}
			if (r.Err() != nil) != slices.Contains(test.errs, true) {
				t.Errorf("got error %v", r.Err())
			}
		})
	}
}

// TestDeniedChecksAreOneStatement: all denied checks are one warning with one statement.
func TestDeniedChecksAreOneStatement(t *testing.T) {
	var n notes
	n.gap("the quotas", "servicequotas:GetServiceQuota", coded("AccessDeniedException", ""))
	n.gap("the zones", "ec2:DescribeInstanceTypeOfferings", coded("UnauthorizedOperation", ""))
	n.gap("the zones", "ec2:DescribeInstanceTypeOfferings", coded("UnauthorizedOperation", ""))
	n.gap("the keys", "kms:DescribeKey", coded("ThrottlingException", "Rate exceeded"))
	var r Report
	r.add(&n)
	want := []string{
		"not checked: the keys (ThrottlingException: Rate exceeded)",
		"not checked, as the credentials do not allow it: the quotas, the zones. The build does not require these permissions; to enable the checks, allow\n" +
			`  {"Effect":"Allow","Action":["ec2:DescribeInstanceTypeOfferings","servicequotas:GetServiceQuota"],"Resource":"*"}`,
	}
	if got := r.Warnings(); !slices.Equal(got, want) || r.Err() != nil {
		t.Errorf("got %q, %v", got, r.Err())
	}
}

func TestJudgeRegions(t *testing.T) {
	known := []ec2types.Region{
		{RegionName: aws.String("us-east-1"), OptInStatus: aws.String("opt-in-not-required")},
		{RegionName: aws.String("af-south-1"), OptInStatus: aws.String("not-opted-in")},
		{RegionName: aws.String("ap-east-1"), OptInStatus: aws.String("opted-in")},
	}
	good, findings := judgeRegions([]string{"us-east-1", "af-south-1", "ap-east-1", "us-east-9"}, known)
	if !slices.Equal(good, []string{"us-east-1", "ap-east-1"}) {
		t.Errorf("got valid regions %v", good)
	}
	wantFindings(t, findings, `ami_regions: got "af-south-1", which the account has not opted in to; enable it (aws account enable-region --region-name af-south-1)`,
		`ami_regions: got "us-east-9", which AWS does not offer to this account, want a region of the account's partition; did you mean us-east-1 or us-east-2? list the regions`)
}

func TestChooseSource(t *testing.T) {
	image := func(id, date string) ec2types.Image {
		return ec2types.Image{ImageId: aws.String(id), CreationDate: aws.String(date)}
	}
	two := []ec2types.Image{image("ami-new", "2026-01-15T07:00:00.000Z"), image("ami-old", "2025-10-22T07:00:00.000Z")}
	byName := Source{Attribute: "source_ami_filter", Question: &ec2.DescribeImagesInput{
		Owners: []string{"self"}, Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{"ubuntu-*"}}},
	}}
	if _, f := chooseSource(byName, "eu-central-1", two); f == nil || f.String() != "source_ami_filter: 2 images match: name = ubuntu-*, owned by self, want one; set most_recent = true, or narrow the filter" {
		t.Errorf("two images: got finding %v", f)
	}
	byName.MostRecent = true
	if got, f := chooseSource(byName, "eu-central-1", two); f != nil || *got.ImageId != "ami-new" {
		t.Errorf("newest: got %v, %v", got.ImageId, f)
	}
	if _, f := chooseSource(byName, "eu-central-1", nil); f == nil || !strings.Contains(f.String(), "source_ami_filter: found no image in eu-central-1: name = ubuntu-*, owned by self, want an image that this account can access there") {
		t.Errorf("no image: got finding %v", f)
	}
}

func TestJudgeSource(t *testing.T) {
	s := Source{Attribute: "source_ami"}
	wantFindings(t, judgeSource(s, ec2types.Image{RootDeviceType: ec2types.DeviceTypeEbs}))
	wantFindings(t, judgeSource(s, ec2types.Image{ImageId: aws.String("ami-1"), RootDeviceType: ec2types.DeviceTypeInstanceStore}),
		`source_ami: ami-1 has a root device of type "instance-store", want "ebs"`)
}

func TestJudgeFit(t *testing.T) {
	info := func(arch ...ec2types.ArchitectureType) ec2types.InstanceTypeInfo {
		return ec2types.InstanceTypeInfo{ProcessorInfo: &ec2types.ProcessorInfo{SupportedArchitectures: arch}}
	}
	types := map[string]ec2types.InstanceTypeInfo{"g4dn.xlarge": info("x86_64"), "g5g.xlarge": info("arm64"), "t2.micro": info("i386", "x86_64")}
	image := ec2types.Image{ImageId: aws.String("ami-1"), Architecture: ec2types.ArchitectureValuesX8664}
	wantFindings(t, judgeFit(image, []string{"g4dn.xlarge", "g5g.xlarge", "t2.micro", "nobody.knows"}, types),
		"instance_types: g5g.xlarge is arm64, but the source image ami-1 is x86_64, want one architecture")
}

func TestJudgeGPUs(t *testing.T) {
	cpu := new(ec2types.ProcessorInfo)
	findings := judgeGPUs([]string{"g4dn.xlarge", "m5.large", "x9.unclear", "nobody.knows"}, map[string]ec2types.InstanceTypeInfo{
		"g4dn.xlarge": {ProcessorInfo: cpu, GpuInfo: new(ec2types.GpuInfo)}, "m5.large": {ProcessorInfo: cpu}, "x9.unclear": {},
	})
	wantFindings(t, findings, "instance_types: m5.large has no GPU; the image will mine on the CPU")
	if len(findings) == 1 && !findings[0].Warning {
		t.Error("a type without a GPU is an error, want a warning")
	}
}

func TestJudgeOffers(t *testing.T) {
	offered := offers{"g4dn.xlarge": {"r-b", "r-a"}, "p3.2xlarge": {"r-a"}}
	places := []launch.Place{{}, {Zone: "r-a"}, {Zone: "r-c", Subnet: "subnet-c"}, {Zone: "r-c"}}
	findings := judgeOffers("r", []string{"g4dn.xlarge", "p3.2xlarge", "g9.xlarge"}, places, offered)
	wantFindings(t, findings,
		"availability_zones, subnet_ids: g4dn.xlarge is not offered in r-c, want zones that offer it: r-a, r-b",
		"p3.2xlarge is not offered in r-c, want zones that offer it: r-a;",
		`instance_types: got "g9.xlarge", which is not offered in r`)
	if !findings[0].hits(launch.Attempt{Type: "g4dn.xlarge", Place: places[2]}) || findings[0].hits(launch.Attempt{Type: "g4dn.xlarge"}) || findings[0].hits(launch.Attempt{Type: "p3.2xlarge", Place: places[2]}) {
		t.Error("want the finding to rule out only its type in its zone")
	}
}

func TestJudgeQuotas(t *testing.T) {
	g := launch.ServiceQuota{Code: "L-DB2E81BA", Name: "Running On-Demand G and VT instances"}
	gSpot := launch.ServiceQuota{Code: "L-3819A6DF", Name: "All G and VT Spot Instance Requests"}
	needs := []need{{"g4dn.xlarge", launch.OnDemand, 4, g}, {"g5.2xlarge", launch.OnDemand, 8, g}, {"g4dn.xlarge", launch.Spot, 4, gSpot}}
	for _, test := range []struct {
		name  string
		known map[string]quota
		want  []string
	}{
		{"unknown quotas", nil, nil},
		{"exactly enough", map[string]quota{g.Code: {8, 0, true}, gSpot.Code: {4, 0, true}}, nil},
		{"zero, as in a new account", map[string]quota{g.Code: {0, 0, true}}, []string{
			`markets: on-demand in r: the quota "Running On-Demand G and VT instances" (L-DB2E81BA) is 0 vCPUs, but g4dn.xlarge needs 4, g5.2xlarge needs 8; raise it: ` +
				"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA --region r --desired-value 8;"}},
		{"enough for the smaller type", map[string]quota{g.Code: {4, 0, true}}, []string{"is 4 vCPUs, but g5.2xlarge needs 8;"}},
		{"in use", map[string]quota{g.Code: {8, 4, true}, gSpot.Code: {8, 8, true}}, []string{
			"is 8 vCPUs, of which 4 are in use, but g5.2xlarge needs 8; raise it: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA --region r --desired-value 12",
			`markets: spot in r: the quota "All G and VT Spot Instance Requests" (L-3819A6DF) is 8 vCPUs, of which 8 are in use, but g4dn.xlarge needs 4`}},
		{"the use is unknown", map[string]quota{gSpot.Code: {8, 0, false}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) { wantFindings(t, judgeQuotas("r", needs, test.known), test.want...) })
	}
	f := judgeQuotas("r", needs, map[string]quota{g.Code: {4, 0, true}})[0]
	if f.hits(launch.Attempt{Type: "g4dn.xlarge", Market: launch.OnDemand}) || !f.hits(launch.Attempt{Type: "g5.2xlarge", Market: launch.OnDemand}) || f.hits(launch.Attempt{Type: "g5.2xlarge", Market: launch.Spot}) {
		t.Error("want the finding to rule out only the types that exceed the quota, in their market")
	}
}

func TestJudgeSubnets(t *testing.T) {
	subnet := func(free int32, public bool) ec2types.Subnet {
		return ec2types.Subnet{
			SubnetId: aws.String("subnet-1"), VpcId: aws.String("vpc-1"), AvailabilityZone: aws.String("r-a"), State: ec2types.SubnetStateAvailable,
			AvailableIpAddressCount: aws.Int32(free), MapPublicIpOnLaunch: aws.Bool(public),
		}
	}
	at := func(vpc, zone string) network {
		return network{vpc: vpc, places: []launch.Place{{Zone: zone, Subnet: "subnet-1"}}}
	}
	good := at("vpc-1", "r-a")
	for _, test := range []struct {
		name    string
		net     network
		subnet  ec2types.Subnet
		address Address
		want    []string
	}{
		{"good", good, subnet(1, false), AnyAddress, nil},
		{"full", good, subnet(0, true), AnyAddress, []string{"subnet_id, subnet_ids: subnet-1 has no available address, want one or more"}},
		{"private, but ssh_interface needs a public address", good, subnet(1, false), SubnetAddress, []string{"assigns no public addresses, want a public address for ssh_interface; set associate_public_ip_address = true"}},
		{"public", good, subnet(1, true), SubnetAddress, nil},
		{"of another VPC and zone", at("vpc-2", "r-b"), subnet(1, true), AnyAddress, []string{"subnet-1 is in vpc-1, not in vpc-2", "subnet-1 is in r-a, not in r-b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantFindings(t, judgeSubnets(test.net, []ec2types.Subnet{test.subnet}, test.address), test.want...)
		})
	}
}

func TestJudgeRoutes(t *testing.T) {
	table := func(id, subnet string, gateways ...string) ec2types.RouteTable {
		t := ec2types.RouteTable{RouteTableId: &id, VpcId: aws.String("vpc-1")}
		if subnet == "" {
			t.Associations = []ec2types.RouteTableAssociation{{Main: aws.Bool(true)}}
		} else {
			t.Associations = []ec2types.RouteTableAssociation{{SubnetId: &subnet}}
		}
		for _, g := range gateways {
			to := "0.0.0.0/0"
			if g == "local" {
				to = "10.0.0.0/16"
			}
			t.Routes = append(t.Routes, ec2types.Route{DestinationCidrBlock: &to, GatewayId: aws.String(g)})
		}
		return t
	}
	gone := table("rtb-gone", "", "igw-1")
	gone.Routes[0].State = ec2types.RouteStateBlackhole
	public := ec2types.Subnet{SubnetId: aws.String("subnet-1"), VpcId: aws.String("vpc-1"), MapPublicIpOnLaunch: aws.Bool(true)}
	private := public
	private.MapPublicIpOnLaunch = nil
	transit := table("rtb-main", "", "local")
	transit.Routes = append(transit.Routes, ec2types.Route{DestinationCidrBlock: aws.String("0.0.0.0/0"), TransitGatewayId: aws.String("tgw-1")})
	if got := judgeRoutes([]ec2types.Subnet{public}, []ec2types.RouteTable{transit}, AnyAddress); len(got) != 1 || !got[0].Warning || got[0].hits != nil ||
		!strings.Contains(got[0].String(), "subnet-1 routes public addresses to tgw-1 (rtb-main)") {
		t.Errorf("through a transit gateway: %v", got)
	}
	for _, test := range []struct {
		name    string
		subnet  ec2types.Subnet
		tables  []ec2types.RouteTable
		address Address
		unheard bool
	}{
		{"the main table has a route to the internet", public, []ec2types.RouteTable{table("rtb-main", "", "local", "igw-1")}, AnyAddress, false},
		{"the subnet's own table has no route, but the main one has", public, []ec2types.RouteTable{table("rtb-main", "", "igw-1"), table("rtb-own", "subnet-1", "local")}, AnyAddress, true},
		{"the subnet's own table has a route, but the main one has none", public, []ec2types.RouteTable{table("rtb-main", "", "local"), table("rtb-own", "subnet-1", "igw-1")}, AnyAddress, false},
		{"the gateway was deleted", public, []ec2types.RouteTable{gone}, AnyAddress, true},
		{"no public address, so none is used", private, []ec2types.RouteTable{table("rtb-main", "", "local")}, AnyAddress, false},
		{"no public address, but one is requested", private, []ec2types.RouteTable{table("rtb-main", "", "local")}, PublicAddress, true},
		{"the table is not visible", public, []ec2types.RouteTable{table("rtb-other", "subnet-2", "local")}, AnyAddress, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := judgeRoutes([]ec2types.Subnet{test.subnet}, test.tables, test.address)
			if (len(got) > 0) != test.unheard {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestJudgeKey(t *testing.T) {
	own := Key{Attribute: "kms_key_id", Region: "r", ID: "alias/mine", OfImage: true}
	good := kmstypes.KeyMetadata{
		KeyId: aws.String("k"), KeyState: kmstypes.KeyStateEnabled, KeyManager: kmstypes.KeyManagerTypeCustomer,
		KeySpec: kmstypes.KeySpecSymmetricDefault, KeyUsage: kmstypes.KeyUsageTypeEncryptDecrypt,
	}
	off, rsa, theirs := good, good, good
	off.KeyState = kmstypes.KeyStateDisabled
	rsa.KeySpec = kmstypes.KeySpecRsa2048
	theirs.KeyManager = kmstypes.KeyManagerTypeAws
	for _, test := range []struct {
		name   string
		key    kmstypes.KeyMetadata
		shared bool
		want   []string
	}{
		{"good", good, true, nil},
		{"disabled", off, false, []string{`kms_key_id: "alias/mine" in r is Disabled, want an enabled key; aws kms enable-key --key-id k --region r`}},
		{"of another kind", rsa, false, []string{"is a key of kind RSA_2048 for ENCRYPT_DECRYPT, want SYMMETRIC_DEFAULT"}},
		{"AWS managed, not shared", theirs, false, nil},
		{"AWS managed, shared", theirs, true, []string{`kms_key_id: the image in r is shared, but encrypted with the AWS managed key "alias/mine", want a customer managed key`}},
	} {
		t.Run(test.name, func(t *testing.T) { wantFindings(t, judgeKey(own, &test.key, test.shared), test.want...) })
	}
}

func TestJudgeEncryption(t *testing.T) {
	users, everyone := Sharing{Users: []string{"444455556666"}}, Sharing{Groups: []string{everybody}}
	for _, test := range []struct {
		key     string
		sharing Sharing
		want    []string
	}{
		{"alias/aws/ebs", users, []string{"encrypt_boot: the image in r is shared, but the account encrypts by default in this region (with alias/aws/ebs), want a customer managed key"}},
		{"arn:aws:kms:r:111122223333:alias/aws/ebs", users, []string{"encrypt_boot: "}},
		{"arn:aws:kms:r:111122223333:key/k", users, nil},
		{"arn:aws:kms:r:111122223333:key/k", everyone, []string{"ami_groups: the image in r is shared"}},
	} {
		wantFindings(t, judgeEncryption("r", why(true), test.key, test.sharing), test.want...)
	}
}

func TestJudgeKeyPolicy(t *testing.T) {
	statement := func(effect, principal string) string {
		return `{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"kms:*","Resource":"*"}`
	}
	policy := func(statements ...string) string { return `{"Statement":[` + strings.Join(statements, ",") + `]}` }
	for text, named := range map[string]bool{
		policy(statement("Allow", `{"AWS":"arn:aws:iam::444455556666:root"}`)):                              true,
		policy(statement("Allow", `{"AWS":["arn:aws:iam::111122223333:root","444455556666"]}`)):             true,
		policy(statement("Allow", `"*"`)):                                                                   true,
		policy(statement("Allow", `{"AWS":"arn:aws:iam::111122223333:root"}`)):                              false,
		policy(statement("Deny", `{"AWS":"arn:aws:iam::444455556666:root"}`)):                               false,
		policy(statement("Allow", `{"Service":"ec2.amazonaws.com"}`), statement("Allow", `"444455556666"`)): true,
		policy():       false,
		"not a policy": true, // no finding
	} {
		got := judgeKeyPolicy(Key{Region: "r"}, text, []string{"444455556666"})
		if (len(got) == 0) != named || len(got) > 0 && !got[0].Warning {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestJudgeDryRuns(t *testing.T) {
	refusal := coded("UnauthorizedOperation", "You are not authorized to perform this operation. User: arn:aws:iam::111122223333:user/packer is not authorized to perform: "+
		"ec2:CreateTags on resource: arn:aws:ec2:r:111122223333:key-pair/x because no identity-based policy allows the ec2:CreateTags action. Encoded authorization failure message: AbC")
	old := coded("UnauthorizedOperation", "You are not authorized to perform this operation.")
	call := func(action, region, instead string, err error) outcome {
		return outcome{DryRun: DryRun{Action: action, Region: region, Instead: instead}, err: err}
	}
	attempt := launch.Attempt{Type: "g4dn.xlarge", Market: launch.Spot}
	ofRung := call("ec2:RunInstances", "r", "", old)
	ofRung.attempt = &attempt
	got := judgeDryRuns([]outcome{
		call("ec2:CreateKeyPair", "r", "name one", refusal),
		call("ec2:CreateSecurityGroup", "r", "", coded("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")),
		call("ec2:CopyImage", "s", "", old), call("ec2:CopyImage", "t", "", old), call("ec2:CopyImage", "u", "", nil),
		call("ec2:CopyImage", "v", "", coded("InvalidAMIID.NotFound", "")),
		ofRung,
	})
	wantFindings(t, got,
		"permissions: ec2:CreateTags is not allowed in r, but required by ec2:CreateKeyPair, on arn:aws:ec2:r:111122223333:key-pair/x (because no identity-based policy allows the ec2:CreateTags action); "+
			`allow {"Effect":"Allow","Action":["ec2:CreateTags"],"Resource":"*"}, or name one`,
		"permissions: ec2:CopyImage is not allowed in s, t; allow",
		"permissions: ec2:RunInstances is not allowed in r, for g4dn.xlarge, spot; allow")
	if got[0].hits != nil || got[2].hits == nil || !got[2].stops {
		t.Error("want only the launch finding to rule out launch options")
	}
}

func TestPanicReachesCaller(t *testing.T) {
	defer func() {
		if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "injected") {
			t.Errorf("got %q", p)
		}
	}()
	all(3, func(i int) {
		if i == 1 {
			panic(errors.New("injected"))
		}
	})
}

func TestSilentRegion(t *testing.T) {
	late := &smithy.OperationError{ServiceID: "EC2", OperationName: "DescribeRegions", Err: fmt.Errorf("request canceled, %w", context.DeadlineExceeded)}
	for name, want := range map[string]string{
		"eu-central-1":  `region: got "eu-central-1", which does not respond (DescribeRegions timed out), want an existing region that the account has opted in to, and valid credentials; check the network and the AWS Health Dashboard, then try again`,
		"eu-centrall-1": `region: got "eu-centrall-1", which does not respond (DescribeRegions timed out), want an existing region that the account has opted in to, and valid credentials; did you mean eu-central-1?`,
	} {
		if got := silentRegion(name, late).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
