// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
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

// wantFindings compares the findings with a part of each.
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
	rungs := launch.Rungs([]string{"one", "two"}, []launch.Market{launch.OnDemand}, places)
	inA := func(r launch.Rung) bool { return r.Place.Zone == "a" }
	inB := func(r launch.Rung) bool { return r.Place.Zone == "b" }
	first := func(r launch.Rung) bool { return r == rungs[0] }
	for _, test := range []struct {
		name     string
		findings []Finding
		errs     []bool // by finding that is left
	}{
		{"nothing about the launch", []Finding{{}}, []bool{true}},
		{"one type of two", []Finding{{hits: ofType("one")}}, []bool{false}},
		{"both types", []Finding{{hits: ofType("one")}, {hits: ofType("two")}}, []bool{true, true}},
		{"a type everywhere, the other one in each zone", []Finding{{hits: ofType("one")}, {hits: inA}, {hits: inB}}, []bool{true, true, true}},
		{"the last way is open", []Finding{{hits: ofType("one")}, {hits: inA}}, []bool{false, false}},
		{"EC2 stops at the first type", []Finding{{hits: ofType("one"), stops: true}}, []bool{true}},
		{"EC2 would stop at the second, after one that is open", []Finding{{hits: ofType("two"), stops: true}}, []bool{false}},
		{"EC2 would stop at the second, and the first is not open", []Finding{{hits: ofType("two"), stops: true}, {hits: first}}, []bool{false, false}},
		{"a zone that nobody named", []Finding{{hits: inA, quiet: true}}, nil},
		{"zones that nobody named, all of them", []Finding{{hits: inA, quiet: true}, {hits: inB, quiet: true}}, []bool{true, true}},
		{"a warning stays one", []Finding{{Warning: true}}, []bool{false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := Report{Findings: test.findings}
			r.decide(rungs)
			var errs []bool
			for _, f := range r.Findings {
				errs = append(errs, !f.Warning)
			}
			if !slices.Equal(errs, test.errs) {
				t.Errorf("errors are %v, want %v", errs, test.errs)
			}
			if (r.Err() != nil) != slices.Contains(test.errs, true) {
				t.Errorf("the error is %v", r.Err())
			}
		})
	}
}

// All that is not allowed is one line with one statement.
func TestGapsAreOneStatement(t *testing.T) {
	var n notes
	n.gap("the quotas", "servicequotas:GetServiceQuota", coded("AccessDeniedException", ""))
	n.gap("the zones", "ec2:DescribeInstanceTypeOfferings", coded("UnauthorizedOperation", ""))
	n.gap("the zones", "ec2:DescribeInstanceTypeOfferings", coded("UnauthorizedOperation", ""))
	n.gap("the keys", "kms:DescribeKey", coded("ThrottlingException", "Rate exceeded"))
	var r Report
	r.add(&n)
	want := []string{
		"not known: the keys (ThrottlingException: Rate exceeded)",
		"not checked, as the credentials do not allow it: the quotas, the zones. The build does without; to have it checked, allow\n" +
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
		t.Errorf("good are %v", good)
	}
	wantFindings(t, findings, `ami_regions: the account has not opted in to "af-south-1"; enable it (aws account enable-region --region-name af-south-1)`,
		`ami_regions: AWS knows no region "us-east-9" for this account; expected one of its partition`)
}

func TestChooseSource(t *testing.T) {
	image := func(id, date string) ec2types.Image {
		return ec2types.Image{ImageId: aws.String(id), CreationDate: aws.String(date)}
	}
	two := []ec2types.Image{image("ami-new", "2026-01-15T07:00:00.000Z"), image("ami-old", "2025-10-22T07:00:00.000Z")}
	byName := Source{Attribute: "source_ami_filter", Question: &ec2.DescribeImagesInput{
		Owners: []string{"self"}, Filters: []ec2types.Filter{{Name: aws.String("name"), Values: []string{"ubuntu-*"}}},
	}}
	if _, f := chooseSource(byName, "eu-central-1", two); f == nil || f.String() != "source_ami_filter: 2 images match: name = ubuntu-*, of self; expected one; set most_recent = true, or say more" {
		t.Errorf("of two: %v", f)
	}
	byName.MostRecent = true
	if got, f := chooseSource(byName, "eu-central-1", two); f != nil || *got.ImageId != "ami-new" {
		t.Errorf("the newest is %v, %v", got.ImageId, f)
	}
	if _, f := chooseSource(byName, "eu-central-1", nil); f == nil || !strings.Contains(f.String(), "source_ami_filter: eu-central-1 has no such image: name = ubuntu-*, of self; expected an image that this account can see there") {
		t.Errorf("of none: %v", f)
	}
}

func TestJudgeFit(t *testing.T) {
	info := func(arch ...ec2types.ArchitectureType) ec2types.InstanceTypeInfo {
		return ec2types.InstanceTypeInfo{ProcessorInfo: &ec2types.ProcessorInfo{SupportedArchitectures: arch}}
	}
	types := map[string]ec2types.InstanceTypeInfo{"g4dn.xlarge": info("x86_64"), "g5g.xlarge": info("arm64"), "t2.micro": info("i386", "x86_64")}
	image := ec2types.Image{ImageId: aws.String("ami-1"), Architecture: ec2types.ArchitectureValuesX8664}
	wantFindings(t, judgeFit(image, []string{"g4dn.xlarge", "g5g.xlarge", "t2.micro", "nobody.knows"}, types),
		"instance_types: g5g.xlarge is arm64, and the source image ami-1 is x86_64; expected one architecture")
}

func TestJudgeOffers(t *testing.T) {
	offered := offers{"g4dn.xlarge": {"r-b", "r-a"}, "p3.2xlarge": {"r-a"}}
	places := []launch.Place{{}, {Zone: "r-a"}, {Zone: "r-c", Subnet: "subnet-c"}, {Zone: "r-c"}}
	findings := judgeOffers("r", []string{"g4dn.xlarge", "p3.2xlarge", "g9.xlarge"}, places, offered)
	wantFindings(t, findings,
		"availability_zones, subnet_ids: g4dn.xlarge is not offered in r-c; expected zones that have it: r-a, r-b",
		"p3.2xlarge is not offered in r-c; expected zones that have it: r-a;",
		`instance_types: r does not offer "g9.xlarge"`)
	if !findings[0].hits(launch.Rung{Type: "g4dn.xlarge", Place: places[2]}) || findings[0].hits(launch.Rung{Type: "g4dn.xlarge"}) || findings[0].hits(launch.Rung{Type: "p3.2xlarge", Place: places[2]}) {
		t.Error("a finding must rule out its type in its zone, and nothing else")
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
		{"nothing is known", nil, nil},
		{"exactly enough", map[string]quota{g.Code: {8, 0, true}, gSpot.Code: {4, 0, true}}, nil},
		{"none, as a new account has", map[string]quota{g.Code: {0, 0, true}}, []string{
			`markets: on-demand in r: the quota "Running On-Demand G and VT instances" (L-DB2E81BA) is 0 vCPUs, and g4dn.xlarge needs 4, g5.2xlarge needs 8; raise it: ` +
				"aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA --region r --desired-value 8;"}},
		{"enough for the smaller", map[string]quota{g.Code: {4, 0, true}}, []string{"is 4 vCPUs, and g5.2xlarge needs 8;"}},
		{"in use", map[string]quota{g.Code: {8, 4, true}, gSpot.Code: {8, 8, true}}, []string{
			"is 8 vCPUs, of which 4 are in use, and g5.2xlarge needs 8; raise it: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA --region r --desired-value 12",
			`markets: spot in r: the quota "All G and VT Spot Instance Requests" (L-3819A6DF) is 8 vCPUs, of which 8 are in use, and g4dn.xlarge needs 4`}},
		{"the use is not known", map[string]quota{gSpot.Code: {8, 0, false}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) { wantFindings(t, judgeQuotas("r", needs, test.known), test.want...) })
	}
	f := judgeQuotas("r", needs, map[string]quota{g.Code: {4, 0, true}})[0]
	if f.hits(launch.Rung{Type: "g4dn.xlarge", Market: launch.OnDemand}) || !f.hits(launch.Rung{Type: "g5.2xlarge", Market: launch.OnDemand}) || f.hits(launch.Rung{Type: "g5.2xlarge", Market: launch.Spot}) {
		t.Error("a finding must rule out the types that have no room, in their market")
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
		{"full", good, subnet(0, true), AnyAddress, []string{"subnet_id, subnet_ids: subnet-1 has no free address; expected room for an instance"}},
		{"private, and the public address is asked for", good, subnet(1, false), SubnetAddress, []string{"gives instances no public address; expected one, as ssh_interface asks for it; set associate_public_ip_address = true"}},
		{"public", good, subnet(1, true), SubnetAddress, nil},
		{"of another VPC and zone", at("vpc-2", "r-b"), subnet(1, true), AnyAddress, []string{"subnet-1 is in vpc-1, and not in vpc-2", "subnet-1 is in r-a, and not in r-b"}},
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
			t.Routes = append(t.Routes, ec2types.Route{GatewayId: aws.String(g)})
		}
		return t
	}
	gone := table("rtb-gone", "", "igw-1")
	gone.Routes[0].State = ec2types.RouteStateBlackhole
	public := ec2types.Subnet{SubnetId: aws.String("subnet-1"), VpcId: aws.String("vpc-1"), MapPublicIpOnLaunch: aws.Bool(true)}
	private := public
	private.MapPublicIpOnLaunch = nil
	for _, test := range []struct {
		name    string
		subnet  ec2types.Subnet
		tables  []ec2types.RouteTable
		address Address
		unheard bool
	}{
		{"the main table leads out", public, []ec2types.RouteTable{table("rtb-main", "", "local", "igw-1")}, AnyAddress, false},
		{"its own does not, though the main one does", public, []ec2types.RouteTable{table("rtb-main", "", "igw-1"), table("rtb-own", "subnet-1", "local")}, AnyAddress, true},
		{"its own does, though the main one does not", public, []ec2types.RouteTable{table("rtb-main", "", "local"), table("rtb-own", "subnet-1", "igw-1")}, AnyAddress, false},
		{"the gateway is gone", public, []ec2types.RouteTable{gone}, AnyAddress, true},
		{"no public address is given, so none is used", private, []ec2types.RouteTable{table("rtb-main", "", "local")}, AnyAddress, false},
		{"one is asked for", private, []ec2types.RouteTable{table("rtb-main", "", "local")}, PublicAddress, true},
		{"a table that is not shown", public, []ec2types.RouteTable{table("rtb-other", "subnet-2", "local")}, AnyAddress, false},
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
		{"disabled", off, false, []string{`kms_key_id: "alias/mine" in r is Disabled; expected a key that is enabled; aws kms enable-key --key-id k --region r`}},
		{"of another kind", rsa, false, []string{"is a key of kind RSA_2048 for ENCRYPT_DECRYPT; expected SYMMETRIC_DEFAULT"}},
		{"AWS's, for the account alone", theirs, false, nil},
		{"AWS's, for others", theirs, true, []string{`kms_key_id: the image in r is to be shared, and encrypted with AWS's key "alias/mine"; expected a key of the account's own`}},
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
		{"alias/aws/ebs", users, []string{"encrypt_boot: the image in r is to be shared, and the account encrypts by default there (with alias/aws/ebs); expected a key of the account's own"}},
		{"arn:aws:kms:r:111122223333:alias/aws/ebs", users, []string{"encrypt_boot: "}},
		{"arn:aws:kms:r:111122223333:key/k", users, nil},
		{"arn:aws:kms:r:111122223333:key/k", everyone, []string{"ami_groups: the image in r is to be shared"}},
	} {
		wantFindings(t, judgeEncryption("r", test.key, test.sharing), test.want...)
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
		policy():               false,
		"what nobody can read": true, // says nothing
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
	rung := launch.Rung{Type: "g4dn.xlarge", Market: launch.Spot}
	ofRung := call("ec2:RunInstances", "r", "", old)
	ofRung.rung = &rung
	got := judgeDryRuns([]outcome{
		call("ec2:CreateKeyPair", "r", "name one", refusal),
		call("ec2:CreateSecurityGroup", "r", "", coded("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")),
		call("ec2:CopyImage", "s", "", old), call("ec2:CopyImage", "t", "", old), call("ec2:CopyImage", "u", "", nil),
		call("ec2:CopyImage", "v", "", coded("InvalidAMIID.NotFound", "")),
		ofRung,
	})
	wantFindings(t, got,
		"permissions: ec2:CreateTags is not allowed in r, which ec2:CreateKeyPair needs, on arn:aws:ec2:r:111122223333:key-pair/x (because no identity-based policy allows the ec2:CreateTags action); "+
			`allow {"Effect":"Allow","Action":["ec2:CreateTags"],"Resource":"*"}, or name one`,
		"permissions: ec2:CopyImage is not allowed in s, t; allow",
		"permissions: ec2:RunInstances is not allowed in r, for g4dn.xlarge, spot; allow")
	if got[0].hits != nil || got[2].hits == nil || !got[2].stops {
		t.Error("only the launch's is about ways to launch")
	}
}

func TestAPanicIsTheCallers(t *testing.T) {
	defer func() {
		if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "as told") {
			t.Errorf("got %q", p)
		}
	}()
	all(3, func(i int) {
		if i == 1 {
			panic(errors.New("as told"))
		}
	})
}
