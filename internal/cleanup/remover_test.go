// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/eth-mining/packer-plugin-ethminer/internal/cleanup"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

const region = "eu-central-1"

// account is a simulated account that finds new resources only after a delay.
type account struct {
	*testing.T
	server *rehearsal.Server
	ec2    *ec2.Client
	book   *cleanup.Ledger
}

const unseen = 60 * time.Millisecond

func newAccount(t *testing.T) *account {
	server := rehearsal.New(rehearsal.Config{Pace: pace.Profile{NotFound: unseen}})
	return &account{t, server, ec2.NewFromConfig(server.AWSConfig(region), func(o *ec2.Options) { o.RetryMaxAttempts = 1 }), new(cleanup.Ledger)}
}

func (a *account) remover() cleanup.Remover {
	return cleanup.Remover{Client: a.ec2, IAM: iam.NewFromConfig(a.server.AWSConfig(region)), Ledger: a.book, Settling: 20 * unseen, Interval: time.Millisecond, Patience: 5 * unseen}
}

func (a *account) check(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

// launch starts an instance that DescribeInstances does not find yet.
func (a *account) launch() cleanup.Entry {
	a.Helper()
	images, err := a.ec2.DescribeImages(a.Context(), &ec2.DescribeImagesInput{Owners: []string{"099720109477"}})
	a.check(err)
	for _, image := range images.Images {
		if image.Architecture == "x86_64" {
			out, err := a.ec2.RunInstances(a.Context(), &ec2.RunInstancesInput{
				ImageId: image.ImageId, InstanceType: "g4dn.xlarge", MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			})
			a.check(err)
			return cleanup.Entry{Kind: cleanup.Instance, Region: region, ID: *out.Instances[0].InstanceId}
		}
	}
	a.Fatal("no image")
	panic("unreachable")
}

// image creates an image of a running instance.
func (a *account) image() cleanup.Entry {
	a.Helper()
	instance := a.launch()
	time.Sleep(2 * unseen)
	out, err := a.ec2.CreateImage(a.Context(), &ec2.CreateImageInput{InstanceId: &instance.ID, Name: aws.String("an-image")})
	a.check(err)
	a.check(a.remover().Remove(a.Context(), cleanup.Entry{Kind: cleanup.Instance, Region: region, ID: instance.ID, Seen: true}))
	return cleanup.Entry{Kind: cleanup.Image, Region: region, ID: *out.ImageId}
}

func (a *account) volume() cleanup.Entry {
	out, err := a.ec2.CreateVolume(a.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(1)})
	a.check(err)
	return cleanup.Entry{Kind: cleanup.Volume, Region: region, ID: *out.VolumeId}
}

func (a *account) key(known bool) cleanup.Entry {
	out, err := a.ec2.CreateKeyPair(a.Context(), &ec2.CreateKeyPairInput{KeyName: aws.String("a-key"), KeyType: "ed25519"})
	a.check(err)
	if !known { // the response was lost
		return cleanup.Entry{Kind: cleanup.KeyPair, Region: region, Name: "a-key"}
	}
	return cleanup.Entry{Kind: cleanup.KeyPair, Region: region, ID: *out.KeyPairId, Name: "a-key"}
}

func (a *account) group(known bool) cleanup.Entry {
	out, err := a.ec2.CreateSecurityGroup(a.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("a-group"), Description: aws.String("d")})
	a.check(err)
	if !known {
		return cleanup.Entry{Kind: cleanup.SecurityGroup, Region: region, Name: "a-group"}
	}
	return cleanup.Entry{Kind: cleanup.SecurityGroup, Region: region, ID: *out.GroupId, Name: "a-group"}
}

func (a *account) template(known bool) cleanup.Entry {
	out, err := a.ec2.CreateLaunchTemplate(a.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("a-template"), LaunchTemplateData: &types.RequestLaunchTemplateData{InstanceType: "g4dn.xlarge"},
	})
	a.check(err)
	if !known {
		return cleanup.Entry{Kind: cleanup.LaunchTemplate, Region: region, Name: "a-template"}
	}
	return cleanup.Entry{Kind: cleanup.LaunchTemplate, Region: region, ID: *out.LaunchTemplate.LaunchTemplateId, Name: "a-template"}
}

// role creates a role with two policies: one with the role's name, one without.
func (a *account) role() cleanup.Entry {
	a.Helper()
	client, name := iam.NewFromConfig(a.server.AWSConfig(region)), aws.String("packer-1")
	document := aws.String(`{"Version":"2012-10-17","Statement":[{}]}`)
	_, err := client.CreateRole(a.Context(), &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: document})
	a.check(err)
	time.Sleep(2 * unseen)
	for _, policy := range []*string{name, aws.String("another")} {
		_, err = client.PutRolePolicy(a.Context(), &iam.PutRolePolicyInput{RoleName: name, PolicyName: policy, PolicyDocument: document})
		a.check(err)
	}
	return cleanup.Entry{Kind: cleanup.Role, Region: cleanup.Global, Name: *name}
}

func (a *account) profile() cleanup.Entry {
	a.Helper()
	client, name := iam.NewFromConfig(a.server.AWSConfig(region)), aws.String("packer-2")
	_, err := client.CreateInstanceProfile(a.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: name})
	a.check(err)
	return cleanup.Entry{Kind: cleanup.InstanceProfile, Region: cleanup.Global, Name: *name}
}

// TestRemoveNewResource: a resource that is removed immediately after its creation
// does not remain.
func TestRemoveNewResource(t *testing.T) {
	for name, make := range map[string]func(*account) cleanup.Entry{
		"instance":         (*account).launch,
		"image":            (*account).image,
		"volume":           (*account).volume,
		"key pair":         func(a *account) cleanup.Entry { return a.key(true) },
		"key by name":      func(a *account) cleanup.Entry { return a.key(false) },
		"security group":   func(a *account) cleanup.Entry { return a.group(true) },
		"role":             (*account).role,
		"instance profile": (*account).profile,
		"group by name":    func(a *account) cleanup.Entry { return a.group(false) },
		"launch template":  func(a *account) cleanup.Entry { return a.template(true) },
		"template by name": func(a *account) cleanup.Entry { return a.template(false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t)
			entry := make(a)
			a.book.Add(entry)
			a.check(a.remover().Remove(t.Context(), entry))
			if left := a.server.Inventory(); len(left) > 0 {
				t.Errorf("got leftover resources %v, want none", left)
			}
			if left := a.book.Left(); len(left) > 0 {
				t.Errorf("got ledger entries %v, want none", left)
			}
		})
	}
}

// stalled is an EC2 on a machine that stalls after its first DeleteVolume.
type stalled struct {
	cleanup.API
	stall time.Duration
}

func (e *stalled) DeleteVolume(ctx context.Context, in *ec2.DeleteVolumeInput, options ...func(*ec2.Options)) (*ec2.DeleteVolumeOutput, error) {
	out, err := e.API.DeleteVolume(ctx, in, options...)
	time.Sleep(e.stall)
	e.stall = 0
	return out, err
}

// TestRemoveWhatAppearsLate: a resource that appears after the removal's patience is
// removed by another request.
func TestRemoveWhatAppearsLate(t *testing.T) {
	a := newAccount(t)
	entry := a.volume()
	a.book.Add(entry)
	time.Sleep(2 * unseen)
	const code = "InvalidVolume.NotFound"
	for _, f := range []rehearsal.Fault{{Action: "DeleteVolume", Nth: 1}, {Action: "DeleteVolume", Nth: 2}, {Action: "DescribeVolumes", Nth: 1}} {
		f.Code = code
		a.server.AddFault(f)
	}
	r := a.remover()
	r.Settling = time.Minute
	r.Client = &stalled{API: a.ec2, stall: 2 * r.Patience}
	a.check(r.Remove(t.Context(), entry))
	if left := a.server.Inventory(); len(left) > 0 {
		t.Errorf("got leftover resources %v, want none", left)
	}
}

// TestRemoveDespiteNotFound: a single error response for an existing resource is retried.
func TestRemoveDespiteNotFound(t *testing.T) {
	for _, row := range []struct {
		name   string
		make   func(*account) cleanup.Entry
		action string
		code   string
	}{
		{"instance", (*account).launch, "TerminateInstances", "InvalidInstanceID.NotFound"},
		{"image", (*account).image, "DeregisterImage", "InvalidAMIID.NotFound"},
		{"image, throttled", (*account).image, "DeregisterImage", "RequestLimitExceeded"},
		{"snapshot", (*account).image, "DeleteSnapshot", "InvalidSnapshot.NotFound"},
		{"volume", (*account).volume, "DeleteVolume", "InvalidVolume.NotFound"},
		{"volume, in use", (*account).volume, "DeleteVolume", "VolumeInUse"},
		{"group", func(a *account) cleanup.Entry { return a.group(true) }, "DeleteSecurityGroup", "InvalidGroup.NotFound"},
		{"template", func(a *account) cleanup.Entry { return a.template(true) }, "DeleteLaunchTemplate", "InvalidLaunchTemplateId.NotFound"},
		{"template by name", func(a *account) cleanup.Entry { return a.template(false) }, "DeleteLaunchTemplate", "InvalidLaunchTemplateName.NotFoundException"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t)
			entry := row.make(a)
			a.book.Add(entry)
			time.Sleep(2 * unseen)
			a.server.AddFault(rehearsal.Fault{Action: row.action, Code: row.code, Nth: 1})
			a.check(a.remover().Remove(t.Context(), entry))
			if left := a.server.Inventory(); len(left) > 0 {
				t.Errorf("got leftover resources %v, want none", left)
			}
		})
	}
}

// TestRemoveDeregisteredImage: the snapshots of an image are deleted even if the image
// was deregistered before and the response was lost.
func TestRemoveDeregisteredImage(t *testing.T) {
	a := newAccount(t)
	entry := a.image()
	a.book.Add(entry)
	time.Sleep(2 * unseen)
	_, err := a.ec2.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &entry.ID})
	a.check(err)
	a.check(a.remover().Remove(t.Context(), entry))
	if left := a.server.Inventory(); len(left) > 0 {
		t.Errorf("got leftover resources %v, want none", left)
	}
}

// TestRemoveFailures: a resource that EC2 never finds stays in the ledger. A
// resource that it lists but does not delete causes an error.
func TestRemoveFailures(t *testing.T) {
	a := newAccount(t)
	entry := cleanup.Entry{Kind: cleanup.Instance, Region: region, ID: "i-0123456789abcdef0"}
	a.book.Add(entry)
	var never *cleanup.UnseenError
	if err := a.remover().Remove(t.Context(), entry); !errors.As(err, &never) || len(a.book.Left()) != 1 {
		t.Errorf("got error %v and ledger %v, want UnseenError and the entry kept", err, a.book.Left())
	}
	a = newAccount(t)
	entry = a.launch()
	a.book.Add(entry)
	a.server.AddFault(rehearsal.Fault{Action: "TerminateInstances", Code: "InvalidInstanceID.NotFound"})
	if err := a.remover().Remove(t.Context(), entry); err == nil || len(a.book.Left()) != 1 {
		t.Errorf("got error %v and ledger %v, want an error and the entry kept", err, a.book.Left())
	}
}
