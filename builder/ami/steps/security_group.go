// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awscommon "github.com/hashicorp/packer-plugin-amazon/common"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	"github.com/hashicorp/packer-plugin-sdk/uuid"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// SecurityGroup provides the instance's security groups: the user's, or a
// temporary one that admits Packer. The build chooses the name, so that a request
// whose response was lost can be retried.
type SecurityGroup struct {
	name string // empty until the group may exist
}

func (*SecurityGroup) Facts() (needs, yields []Fact) {
	return facts(Places, Admitted), facts(SecurityGroups)
}

func (s *SecurityGroup) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	c, client := b.Config, b.Clients.EC2(b.Clients.Region())
	if len(c.SecurityGroupIds) > 0 {
		if _, err := client.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: c.SecurityGroupIds}); err != nil {
			return Halt(state, "security_group_ids: looking up %s: %w", strings.Join(c.SecurityGroupIds, ", "), err)
		}
		state.Put(keySecurityGroups, c.SecurityGroupIds)
		return multistep.ActionContinue
	}
	if !c.SecurityGroupFilter.Empty() {
		ids, err := b.filteredGroups(ctx, client)
		if err != nil {
			return Halt(state, "security_group_filter: %w", err)
		}
		ui.Sayf("Found Security Group(s): %s", strings.Join(ids, ", "))
		state.Put(keySecurityGroups, ids)
		return multistep.ActionContinue
	}
	s.name = "packer_" + uuid.TimeOrderedUUID()
	ui.Sayf("Creating temporary security group for this instance: %s", s.name)
	tags, err := awscommon.TagMap(c.RunTags).EC2Tags(c.Interpolation(), b.Clients.Region(), state)
	if err != nil {
		return Halt(state, "rendering the tags of the security group: %w", err)
	}
	id, err := s.create(ctx, b, client, &ec2.CreateSecurityGroupInput{
		GroupName:         aws.String(s.name),
		Description:       aws.String("Temporary group for Packer"),
		TagSpecifications: tags.TagSpecifications(ec2types.ResourceTypeSecurityGroup),
	})
	if err != nil {
		return Halt(state, "creating the temporary security group: %w", err)
	}
	state.Put(keySecurityGroups, []string{id})
	if c.NoSSHRule() {
		return multistep.ActionContinue
	}
	port := c.Comm.Port()
	ui.Sayf("Authorizing access to port %d from %v in the temporary security group...", port, b.admitted)
	if err := b.authorize(ctx, client, id, port); err != nil {
		return Halt(state, "authorizing the temporary security group: %w", err)
	}
	return multistep.ActionContinue
}

func (b *Build) filteredGroups(ctx context.Context, client *awsclient.EC2) (ids []string, err error) {
	ours := map[string]string{}
	if b.vpc != "" {
		ours["vpc-id"] = b.vpc
	}
	filters, err := launch.Filters(b.Config.SecurityGroupFilter.Filters, ours)
	if err != nil {
		return nil, err
	}
	pages := ec2.NewDescribeSecurityGroupsPaginator(client, &ec2.DescribeSecurityGroupsInput{Filters: filters})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range page.SecurityGroups {
			ids = append(ids, aws.ToString(g.GroupId))
		}
	}
	return ids, nil
}

// create creates the group and returns its id. After a lost response, Duplicate
// means that the lost request has created the group.
func (s *SecurityGroup) create(ctx context.Context, b *Build, client *awsclient.EC2, input *ec2.CreateSecurityGroupInput) (id string, err error) {
	if b.vpc != "" {
		input.VpcId = aws.String(b.vpc)
	}
	entry := cleanup.Entry{Kind: cleanup.SecurityGroup, Region: b.Clients.Region(), Name: s.name}
	b.ledger.Add(entry)
	lost := false
	for try := 1; ; try++ {
		err = b.create(ctx, func(ctx context.Context) error {
			out, err := client.CreateSecurityGroup(ctx, input, awsclient.OneTry)
			if err == nil {
				id = aws.ToString(out.GroupId)
			}
			return err
		})
		switch {
		case err == nil:
		case awsclient.Code(err) == "InvalidGroup.Duplicate" && lost:
			id, err = b.awaitGroup(ctx, client, s.name)
		case awsclient.IsUnanswered(err):
			if lost = true; try < lostResponses && ctx.Err() == nil {
				continue
			}
		case !lost:
			b.ledger.Strike(entry) // the request was refused
			s.name = ""
		}
		if id != "" {
			entry.ID = id
			b.ledger.Add(entry)
		}
		if err == nil {
			err = ctx.Err()
		}
		return id, err
	}
}

// awaitGroup waits until EC2 lists the group of a name, and returns its id.
func (b *Build) awaitGroup(ctx context.Context, client *awsclient.EC2, name string) (id string, err error) {
	err = b.settles().Until(ctx, name+" to be listed", func(ctx context.Context) (_ bool, err error) {
		id, err = cleanup.GroupNamed(ctx, client, name)
		return id != "", err
	})
	return id, err
}

// authorize adds the rules for the admitted addresses. It retries while EC2 does
// not find the group, and accepts existing rules.
func (b *Build) authorize(ctx context.Context, client *awsclient.EC2, id string, port int) error {
	permission := ec2types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(int32(port)), ToPort: aws.Int32(int32(port))} //nolint:gosec // a port
	for _, cidr := range b.admitted {
		prefix, err := netip.ParsePrefix(cidr)
		switch {
		case err != nil:
			return fmt.Errorf("temporary_security_group_source_cidrs: got %q, want a CIDR block such as 192.0.2.0/24: %w", cidr, err)
		case prefix.Addr().Is4():
			permission.IpRanges = append(permission.IpRanges, ec2types.IpRange{CidrIp: aws.String(cidr)})
		default:
			permission.Ipv6Ranges = append(permission.Ipv6Ranges, ec2types.Ipv6Range{CidrIpv6: aws.String(cidr)})
		}
	}
	wait := b.wait
	wait.Soon = 0
	return wait.Until(ctx, id+" to be listed", func(ctx context.Context) (bool, error) {
		_, err := client.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
			GroupId: aws.String(id), IpPermissions: []ec2types.IpPermission{permission},
		})
		if awsclient.Code(err) == "InvalidPermission.Duplicate" {
			return true, nil
		}
		return err == nil, err
	})
}

// usesGroup reports whether an instance may use the build's security group: a launch test
// and its build have a group each, and one ledger.
func (b *Build) usesGroup(e cleanup.Entry) bool {
	if b.test != nil {
		return e.ID == b.Report.InstanceID
	}
	return b.tests == nil || !slices.ContainsFunc(b.tests.tests, func(t *launchTest) bool { return t.result.InstanceID == e.ID })
}

func (s *SecurityGroup) Cleanup(state multistep.StateBag) {
	if s.name == "" {
		return
	}
	b, ui := BuildOf(state), UIOf(state)
	left := b.ledger.Left()
	at := slices.IndexFunc(left, func(e cleanup.Entry) bool { return e.Kind == cleanup.SecurityGroup && e.Name == s.name })
	if s.name = ""; at < 0 {
		return
	}
	if slices.ContainsFunc(left, func(e cleanup.Entry) bool { return e.Kind == cleanup.Instance && b.usesGroup(e) }) {
		return // the leftover instance still uses it
	}
	ui.Say("Deleting temporary security group...")
	b.removeTemporary(ui, left[at])
}
