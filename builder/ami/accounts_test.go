// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

const (
	accountA = "222233334444"
	accountB = "333344445555"
)

var accountRegions = []string{"eu-central-1", "us-east-1", "us-west-2"}

func roleOf(account string) string { return "arn:aws:iam::" + account + ":role/packer" }

// inAccounts returns the configuration of a build of three regions that two other
// accounts copy.
func inAccounts(with map[string]any) map[string]any {
	config := map[string]any{
		"ami_regions": slices.Clone(accountRegions[1:]), // Prepare writes to it
		"ami_accounts": []map[string]any{
			{"id": accountA, "role_arn": roleOf(accountA), "tags": map[string]string{"Fleet": "{{ .BuildRegion }}"}},
			{"id": accountB, "role_arn": roleOf(accountB)},
		},
	}
	maps.Copy(config, with)
	return config
}

// shared lists what the build's account shares with others: images, snapshots and keys.
func (w *world) shared(t *testing.T, keys ...string) (shares []string) {
	t.Helper()
	for region, resources := range w.aws.Inventory() {
		for _, r := range resources {
			switch r.Kind {
			case "image":
				out, err := w.client(region).DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: &r.ID, Attribute: ec2types.ImageAttributeNameLaunchPermission})
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range out.LaunchPermissions {
					shares = append(shares, region+" "+r.ID+" "+aws.ToString(p.UserId))
				}
			case "snapshot":
				out, err := w.client(region).DescribeSnapshotAttribute(t.Context(), &ec2.DescribeSnapshotAttributeInput{SnapshotId: &r.ID, Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission})
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range out.CreateVolumePermissions {
					shares = append(shares, region+" "+r.ID+" "+aws.ToString(p.UserId))
				}
			}
		}
	}
	for _, key := range keys {
		out, err := kms.NewFromConfig(w.awsConfig(w), func(o *kms.Options) { o.Region = strings.Split(key, ":")[3] }).ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range out.Grants {
			shares = append(shares, key+" "+aws.ToString(g.GranteePrincipal))
		}
	}
	return shares
}

// leftIn lists the resources of another account as left does.
func (w *world) leftIn(account string) (left []string) {
	for region, resources := range w.aws.InventoryOf(account) {
		for _, r := range resources {
			left = append(left, fmt.Sprintf("%s %s %s", region, r.Kind, r.ID))
		}
	}
	slices.Sort(left)
	return left
}

// nothingAnywhere checks that a failed build has left nothing in any account.
func (w *world) nothingAnywhere(t *testing.T) {
	t.Helper()
	left := slices.Concat(w.left(), w.leftIn(accountA), w.leftIn(accountB))
	if len(left) > 0 || strings.Contains(w.ui.String(), "left behind") {
		t.Errorf("got %q, want nothing left in any account\n%s", left, w.ui.String())
	}
}

// copiesIn checks that an account has exactly one released image with its snapshot in each
// region, and returns the images by region.
func (w *world) copiesIn(t *testing.T, account string, regions ...string) map[string]string {
	t.Helper()
	images := map[string]string{}
	inventory := w.aws.InventoryOf(account)
	for region, resources := range inventory {
		for _, r := range resources {
			if r.Leaked() || !slices.Contains(regions, region) {
				t.Errorf("%s, %s: got unwanted %s %s (%s)", account, region, r.Kind, r.ID, r.State)
			}
			if r.Kind == "parameter" {
				continue
			}
			if r.Tags[tags.BuildID] == "" || r.Tags[tags.State] != tags.Released {
				t.Errorf("%s, %s: %s: got tags %v, want those of a released image", account, region, r.ID, r.Tags)
			}
			if r.Kind == "image" {
				images[region] = r.ID
			}
		}
	}
	if len(images) != len(regions) {
		t.Errorf("%s: got images %v, want one in each of %v\n%s", account, images, regions, w.ui.String())
	}
	return images
}

// A build to two accounts and three regions ends with unshared originals and tagged copies
// that the accounts own.
func TestAccounts(t *testing.T) {
	w := newWorld(t)
	built, err := w.build(t, t.Context(), inAccounts(nil))
	if err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	own := w.oneImageEach(t, accountRegions...)
	if shares := w.shared(t); len(shares) > 0 {
		t.Errorf("still shared: %q", shares)
	}
	if n := strings.Count(w.ui.String(), "is no longer shared with account"); n != 6 { // not only when the build ends
		t.Errorf("got %d revocations with the copies, want 6:\n%s", n, w.ui.String())
	}
	report := reportOf(t, built)
	for _, account := range []string{accountA, accountB} {
		for region, id := range w.copiesIn(t, account, accountRegions...) {
			if id == own[region].ID || report.Accounts[account][region] != id {
				t.Errorf("%s, %s: got %s, and in the report %s", account, region, id, report.Accounts[account][region])
			}
			if line := fmt.Sprintf("account %s, %s: %s\n", account, region, id); !strings.Contains(built.String(), line) {
				t.Errorf("the artifact lacks %q:\n%s", line, built)
			}
			if report.Images[region] != own[region].ID || strings.Contains(built.Id(), id) {
				t.Errorf("%s: got %s and %s, want only the build's own image", region, report.Images[region], built.Id())
			}
		}
	}
	for region, resources := range w.aws.InventoryOf(accountA) {
		for _, r := range resources {
			if r.Tags["Fleet"] != "eu-central-1" && r.Tags["Fleet"] != region {
				t.Errorf("%s: %s: got tags %v, want the account's own", region, r.ID, r.Tags)
			}
		}
	}
}

// A failed copy ends the build: all shares are revoked, and all images removed.
func TestAccountCopyFails(t *testing.T) {
	for name, faults := range map[string][]rehearsal.Fault{
		"the copy fails":    {{CopyRegion: "us-east-1", Account: accountB, State: "failed"}},
		"it is refused":     {{Action: "CopyImage", Account: accountB, Region: "us-west-2", Code: "InvalidParameterValue"}},
		"sharing is denied": {{Action: "ModifySnapshotAttribute", Region: "us-east-1", Nth: 1, Code: "UnauthorizedOperation", Status: http.StatusForbidden}},
		"a late step fails": {{Action: "CreateTags", Account: accountA, Code: "InvalidRequest"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, f := range faults {
				w.aws.AddFault(f)
			}
			if _, err := w.build(t, t.Context(), inAccounts(nil)); err == nil {
				t.Fatalf("got no error\n%s", w.ui.String())
			}
			w.nothingAnywhere(t)
		})
	}
}

// A cancel during the copies has the same result.
func TestAccountCopyCancelled(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{CopyRegion: "us-east-1", Account: accountA, CopyTakes: "10m"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.onCall = func(int) {
		if len(w.aws.InventoryOf(accountA)["us-east-1"]) > 0 { // the copy has started
			cancel()
		}
	}
	if _, err := w.build(t, ctx, inAccounts(nil)); err == nil {
		t.Fatal("got no error for a cancelled build")
	}
	if ctx.Err() == nil {
		t.Fatalf("the build ended before it was cancelled\n%s", w.ui.String())
	}
	w.nothingAnywhere(t)
}

// Lost responses cost no image, no share and no error.
func TestAccountLostResponses(t *testing.T) {
	for _, action := range []string{"ModifyImageAttribute", "ModifySnapshotAttribute", "CopyImage", "AssumeRole"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			lost := &fault{world: w, action: action, nths: []int{1, 2, 3}, answer: func(r *http.Request) (*http.Response, error) {
				_, _ = w.RoundTrip(r)
				return nil, io.ErrUnexpectedEOF
			}}
			w.transport = lost
			if _, err := w.build(t, t.Context(), inAccounts(nil)); err != nil || lost.seen.Load() < 4 {
				t.Fatalf("after %d calls: %v\n%s", lost.seen.Load(), err, w.ui.String())
			}
			w.oneImageEach(t, accountRegions...)
			w.copiesIn(t, accountA, accountRegions...)
			w.copiesIn(t, accountB, accountRegions...)
			if shares := w.shared(t); len(shares) > 0 {
				t.Errorf("still shared: %q", shares)
			}
		})
	}
}

// A share that cannot be revoked is listed with the command that revokes it.
func TestShareLeftBehind(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{
		Action: "ModifySnapshotAttribute", Region: "us-east-1", Where: map[string]string{"OperationType": "remove", "UserId.1": accountA},
		Code: "UnauthorizedOperation", Status: http.StatusForbidden,
	})
	if _, err := w.build(t, t.Context(), inAccounts(nil)); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	shares := w.shared(t)
	if len(shares) != 1 {
		t.Fatalf("got shares %q, want one", shares)
	}
	snapshot := strings.Fields(shares[0])[1]
	for _, want := range []string{
		"left behind: create-volume-permission " + snapshot + " for " + accountA + " in us-east-1",
		"modify-snapshot-attribute --snapshot-id " + snapshot + " --attribute createVolumePermission --operation-type remove --user-ids " + accountA + " --region us-east-1",
	} {
		if !strings.Contains(w.ui.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, w.ui.String())
		}
	}
}

// newKeys creates a key in each region for an account, the build's if it is empty.
func (w *world) newKeys(t *testing.T, account string) map[string]string {
	t.Helper()
	clients := awsclient.New(w.awsConfig(w), "")
	if account != "" {
		clients = clients.Assume(awsclient.Role{ARN: roleOf(account), Session: "test"})
	}
	keys := map[string]string{}
	for _, region := range accountRegions {
		made, err := clients.KMS(region).CreateKey(t.Context(), &kms.CreateKeyInput{})
		if err != nil {
			t.Fatal(err)
		}
		keys[region] = *made.KeyMetadata.Arn
	}
	return keys
}

// encrypted returns the options of a build whose image is encrypted with keys of the
// account, and whose copy for account A with keys of that.
func encryptedAccounts(own, theirs map[string]string) map[string]any {
	return inAccounts(map[string]any{
		"encrypt_boot": true, "kms_key_id": own["eu-central-1"], "region_kms_key_ids": own,
		"ami_accounts": []map[string]any{{"id": accountA, "role_arn": roleOf(accountA), "kms_key_ids": theirs}},
	})
}

// An encrypted image is copied by a grant, which is revoked, and encrypted again with the
// account's key.
func TestAccountsEncrypted(t *testing.T) {
	for name, fault := range map[string]rehearsal.Fault{
		"succeeds":                {},
		"fails":                   {CopyRegion: "us-west-2", Account: accountA, State: "failed"},
		"a grant is refused":      {Action: "CreateGrant", Region: "us-east-1", Code: "AccessDeniedException"},
		"the grant is slow":       {CopyRegion: "us-west-2", Account: accountA, State: "failed", Message: "Given key ID is not accessible", Times: 3},
		"a response is lost once": {Action: "CreateGrant", Nth: 1, Code: "InternalError"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			own, theirs := w.newKeys(t, ""), w.newKeys(t, accountA)
			if fault.Action+fault.CopyRegion != "" {
				w.aws.AddFault(fault)
			}
			_, err := w.build(t, t.Context(), encryptedAccounts(own, theirs))
			if shares := w.shared(t, slices.Collect(maps.Values(own))...); len(shares) > 0 {
				t.Errorf("still shared: %q", shares)
			}
			if name == "fails" || name == "a grant is refused" {
				if err == nil {
					t.Error("got no error")
				}
				w.nothingAnywhere(t)
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.copiesIn(t, accountA, accountRegions...)
			clients := awsclient.New(w.awsConfig(w), "").Assume(awsclient.Role{ARN: roleOf(accountA), Session: "test"})
			for _, region := range accountRegions {
				out, err := clients.EC2(region).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
				if err != nil || len(out.Snapshots) != 1 || aws.ToString(out.Snapshots[0].KmsKeyId) != theirs[region] {
					t.Errorf("%s: got %v, %v, want one snapshot with key %s", region, out, err, theirs[region])
				}
			}
		})
	}
}

// Without the grant, the account cannot copy an encrypted image: the rehearsal requires it.
func TestRehearsalRequiresShares(t *testing.T) {
	w := newWorld(t)
	keys := w.newKeys(t, "")
	if _, err := w.build(t, t.Context(), map[string]any{"encrypt_boot": true, "kms_key_id": keys["eu-central-1"], "ami_regions": []string(nil)}); err != nil {
		t.Fatal(err)
	}
	image := w.oneImageEach(t, "eu-central-1")["eu-central-1"]
	home, other := w.client("eu-central-1"), awsclient.New(w.awsConfig(w), "").Assume(awsclient.Role{ARN: roleOf(accountA), Session: "test"}).EC2("eu-central-1")
	cp := func() (string, error) {
		out, err := other.CopyImage(t.Context(), &ec2.CopyImageInput{Name: aws.String("mine"), SourceImageId: &image.ID, SourceRegion: aws.String("eu-central-1")})
		if err != nil {
			return "", err
		}
		images, err := other.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{*out.ImageId}})
		if err != nil {
			return "", err
		}
		return string(images.Images[0].State), nil
	}
	if _, err := cp(); awsclient.Code(err) != "InvalidAMIID.NotFound" {
		t.Errorf("an image that is not shared: got %v", err)
	}
	if _, err := home.ModifyImageAttribute(t.Context(), &ec2.ModifyImageAttributeInput{ImageId: &image.ID, LaunchPermission: &ec2types.LaunchPermissionModifications{Add: []ec2types.LaunchPermission{{UserId: aws.String(accountA)}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := cp(); awsclient.Code(err) != "InvalidRequest" {
		t.Errorf("snapshots that are not shared: got %v", err)
	}
	if _, err := other.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &image.ID}); awsclient.Code(err) != "AuthFailure" {
		t.Errorf("deregistering another account's image: got %v", err)
	}
	if _, err := home.ModifySnapshotAttribute(t.Context(), &ec2.ModifySnapshotAttributeInput{
		SnapshotId: &image.Snapshots[0], Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission, OperationType: ec2types.OperationTypeAdd, UserIds: []string{accountA},
	}); err != nil {
		t.Fatal(err)
	}
	if state, err := cp(); err != nil || state != "failed" {
		t.Errorf("a key that is not shared: got %q, %v, want a failed copy", state, err)
	}
	if _, err := other.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &image.Snapshots[0]}); awsclient.Code(err) != "InvalidSnapshot.NotFound" {
		t.Errorf("deleting another account's snapshot: got %v", err)
	}
	found, err := other.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"111122223333"}})
	if err != nil || len(found.Images) != 1 || len(found.Images[0].Tags) > 0 {
		t.Errorf("listing the shared image: got %v, %v, want it without tags", found, err)
	}
}

// ssm_parameter is set to the account's copy in each region. If it cannot be set, the
// images are kept, and the same build, resumed, sets it without new copies.
func TestAccountParameters(t *testing.T) {
	w := newWorld(t)
	w.aws.AddFault(rehearsal.Fault{Action: "PutParameter", Account: accountA, Region: "us-east-1", Nth: 1, Code: "AccessDeniedException"})
	config := inAccounts(map[string]any{
		"build_id":     resumedID,
		"ami_accounts": []map[string]any{{"id": accountA, "role_arn": roleOf(accountA), "ssm_parameter": "/ethminer/ami"}},
	})
	if _, err := w.build(t, t.Context(), config); err == nil || !strings.Contains(err.Error(), "us-east-1: /ethminer/ami: ") {
		t.Fatalf("got %v, want an error for the parameter", err)
	}
	images := w.copiesIn(t, accountA, accountRegions...)
	if said := w.ui.String(); strings.Contains(said, "left behind") || !strings.Contains(said, "account "+accountA+", us-east-1: "+images["us-east-1"]) {
		t.Errorf("the output does not say that the images are kept:\n%s", said)
	}
	if _, err := w.build(t, t.Context(), config); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	if again := w.copiesIn(t, accountA, accountRegions...); !maps.Equal(again, images) {
		t.Errorf("got %v, want the same images as before, %v", again, images)
	}
	for region, resources := range w.aws.InventoryOf(accountA) {
		for _, r := range resources {
			if r.Kind == "parameter" && (r.ID != "/ethminer/ami" || r.Image != images[region]) {
				t.Errorf("%s: got parameter %s = %s, want %s", region, r.ID, r.Image, images[region])
			}
		}
		if len(resources) != 3 {
			t.Errorf("%s: got %v, want the image, its snapshot and the parameter", region, resources)
		}
	}
	if len(slices.DeleteFunc(w.left(), func(line string) bool { return !strings.Contains(line, "parameter") })) > 0 {
		t.Errorf("got %q, want no parameter in the build's own account", w.left())
	}
}

// A build that is killed at any call, and resumed, has one copy in each place, and shares
// nothing any more.
func TestAccountsResume(t *testing.T) {
	config := func() map[string]any {
		return map[string]any{
			"build_id": resumedID, "preflight": "off", "ami_regions": []string(nil),
			"ami_accounts": []map[string]any{{"id": accountA, "role_arn": roleOf(accountA)}},
		}
	}
	clean := newWorld(t)
	begun := 0
	clean.onCall = func(nth int) {
		if begun == 0 && strings.Contains(clean.ui.String(), "Copying the images to account") {
			begun = nth
		}
	}
	if _, err := clean.build(t, t.Context(), config()); err != nil {
		t.Fatalf("%v\n%s", err, clean.ui.String())
	}
	for nth := begun; nth <= clean.calls; nth++ {
		t.Run(fmt.Sprint(nth), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.kill(t, nth, config())
			if _, err := w.build(t, t.Context(), config()); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, "eu-central-1")
			w.copiesIn(t, accountA, "eu-central-1")
			if shares := w.shared(t); len(shares) > 0 {
				t.Errorf("still shared: %q\n%s", shares, w.ui.String())
			}
			if n := w.aws.Calls()["eu-central-1"]["RunInstances"]; n != 1 {
				t.Errorf("got %d launches, want 1", n)
			}
		})
	}
}

// on_copy_failure applies to the copies of other accounts, too.
func TestAccountCopyFailureOptions(t *testing.T) {
	for _, option := range []string{"keep", "retry-later"} {
		t.Run(option, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Account: accountB, Region: "us-west-2", Nth: 1, Code: "InvalidParameterValue"})
			config := inAccounts(map[string]any{"build_id": resumedID, "on_copy_failure": option})
			built, err := w.build(t, t.Context(), config)
			if (err == nil) != (option == "keep") {
				t.Fatalf("got %v\n%s", err, w.ui.String())
			}
			if shares := w.shared(t); len(shares) > 0 {
				t.Errorf("still shared: %q", shares)
			}
			if option == "keep" {
				w.copiesIn(t, accountA, accountRegions...)
				w.copiesIn(t, accountB, accountRegions[:2]...)
				if why := reportOf(t, built).FailedAccounts[accountB]["us-west-2"]; !strings.Contains(why, "InvalidParameterValue") {
					t.Errorf("got %q in the report, want the reason", why)
				}
			}
			if _, err := w.build(t, t.Context(), config); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			w.oneImageEach(t, accountRegions...)
			w.copiesIn(t, accountA, accountRegions...)
			w.copiesIn(t, accountB, accountRegions...)
		})
	}
}

// The preflight finds what would fail the copies, before the launch.
func TestAccountsPreflight(t *testing.T) {
	disk := []map[string]any{{"device_name": "/dev/sda1", "volume_size": 8, "encrypted": true, "delete_on_termination": true}}
	one := func(with map[string]any) map[string]any {
		account := map[string]any{"id": accountA, "role_arn": roleOf(accountA)}
		maps.Copy(account, with)
		return inAccounts(map[string]any{"ami_accounts": []map[string]any{account}})
	}
	for name, test := range map[string]struct {
		config map[string]any
		fault  rehearsal.Fault
		want   string
	}{
		"the role cannot be assumed": {one(nil), rehearsal.Fault{Action: "AssumeRole", Code: "AccessDenied", Status: http.StatusForbidden},
			"ami_accounts[0].role_arn: could not assume " + roleOf(accountA) + " (AccessDenied"},
		"a key that does not exist": {one(map[string]any{"kms_key_ids": map[string]string{"us-east-1": "alias/mine"}}), rehearsal.Fault{},
			`ami_accounts[0].kms_key_ids["us-east-1"]: got "alias/mine", which is not a key in us-east-1`},
		"AWS's key":               {inAccounts(map[string]any{"encrypt_boot": true}), rehearsal.Fault{}, "want a customer managed key"},
		"a volume with AWS's key": {inAccounts(map[string]any{"launch_block_device_mappings": disk}), rehearsal.Fault{}, "want a customer managed key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if test.fault.Action != "" {
				w.aws.AddFault(test.fault)
			}
			_, err := w.build(t, t.Context(), test.config)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			if n := w.aws.Calls()["eu-central-1"]["RunInstances"]; n > 0 {
				t.Errorf("got %d launches, want none", n)
			}
		})
	}
	t.Run("the name is in use", func(t *testing.T) {
		w := newWorld(t)
		if _, err := w.build(t, t.Context(), one(nil)); err != nil {
			t.Fatal(err)
		}
		_, err := w.build(t, t.Context(), one(map[string]any{}))
		if err == nil || !strings.Contains(err.Error(), `ami_name: got "sweep", which is in use in us-west-2 of account `+accountA) {
			t.Errorf("got %v, want an error for the other account", err)
		}
	})
}

// The minimum policies of both sides suffice for a whole build that succeeds, and for one
// that fails late. Without any of their actions, it fails or says so.
func TestAccountsMinimumPolicies(t *testing.T) {
	account := map[string]any{"id": accountA, "role_arn": roleOf(accountA), "ssm_parameter": "/ethminer/ami"}
	run := func(t *testing.T, own, role *policy.Document, fails, encrypted bool) (*world, error) {
		t.Helper()
		w := newWorld(t)
		config := map[string]any{"preflight": "off", "ami_regions": []string(nil), "ami_accounts": []map[string]any{account}, "deprecate_at": time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339), "imds_support": "v2.0"}
		if encrypted {
			keys, theirs := w.newKeys(t, ""), w.newKeys(t, accountA)
			with := maps.Clone(account)
			with["kms_key_ids"] = map[string]string{"eu-central-1": theirs["eu-central-1"]}
			config["ami_accounts"], config["encrypt_boot"], config["kms_key_id"] = []map[string]any{with}, true, keys["eu-central-1"]
		}
		if fails {
			w.aws.AddFault(rehearsal.Fault{Action: "CreateTags", Account: accountA, Code: "InvalidRequest"})
		}
		w.aws.Allow(own)
		w.aws.AllowIn(accountA, role)
		_, err := w.build(t, t.Context(), config)
		w.aws.Allow(nil) // for the test itself
		w.aws.AllowIn(accountA, nil)
		return w, err
	}
	for _, encrypted := range []bool{false, true} {
		config := map[string]any{"ami_regions": []string(nil), "ami_accounts": []map[string]any{account}, "deprecate_at": time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339), "imds_support": "v2.0"}
		if encrypted {
			config["encrypt_boot"], config["kms_key_id"] = true, "alias/mine"
		}
		own := required(policyCase{config: config}.minimum(t))
		b := new(Builder)
		raw := map[string]any{"rehearsal": true, "rehearsal_instance": "none", "region": "eu-central-1"}
		maps.Copy(raw, config)
		if _, _, err := b.Prepare(raw); err != nil {
			t.Fatal(err)
		}
		role := required(policy.LeastOfRole(b.config.RoleNeeds(b.config.AMIAccounts[0])))
		outcome := func(w *world) string {
			return w.outcome() + "\n" + fmt.Sprint(len(w.leftIn(accountA)))
		}
		ends := map[bool]string{}
		for _, fails := range []bool{false, true} {
			free, freeErr := run(t, nil, nil, fails, encrypted)
			bound, err := run(t, own, role, fails, encrypted)
			ends[fails] = outcome(free)
			if (err == nil) != (freeErr == nil) || outcome(bound) != ends[fails] || len(bound.shared(t)) > 0 {
				t.Fatalf("encrypted = %v, fails = %v: got %v with the minimum policies, %v with full access, and\n%s\nwant\n%s\n%s\n%s\n%s", encrypted, fails, err, freeErr, outcome(bound), ends[fails], bound.ui.String(), own.JSON(), role.JSON())
			}
		}
		lacks := func(action string, own, role *policy.Document) {
			t.Helper()
			w, err := run(t, own, role, false, encrypted)
			if err == nil && outcome(w) == ends[false] && !strings.Contains(w.ui.String(), action) {
				if w, err = run(t, own, role, true, encrypted); outcome(w) == ends[true] {
					t.Errorf("encrypted = %v: got the same outcome without %s", encrypted, action)
					return
				}
			}
			if said := fmt.Sprint(err, w.ui.String()); !strings.Contains(said, action) {
				t.Errorf("encrypted = %v: without %s it does not name the action:\n%s", encrypted, action, said)
			}
		}
		for _, s := range own.Statement {
			for _, action := range s.Action {
				if s.Sid == "Accounts" || s.Sid == "Grants" || action == "ec2:ModifyImageAttribute" || action == "ec2:ModifySnapshotAttribute" {
					lacks(action, without(*own, action, s.Sid, "Keys"), role)
				}
			}
		}
		for _, s := range role.Statement {
			for _, action := range s.Action {
				if s.Sid != "Keys" { // EBS uses the key on behalf of the role, which the rehearsal does not check
					lacks(action, own, without(*role, action, s.Sid))
				}
			}
		}
	}
}

// The grant may only be for the role of the account.
func TestGrantForOthersIsDenied(t *testing.T) {
	d := policy.Least(policy.Needs{Accounts: policy.Accounts{Any: true, Grantees: []string{roleOf(accountA)}}})
	for principal, want := range map[string]policy.Decision{roleOf(accountA): policy.Allowed, roleOf(accountB): policy.NotAllowed} {
		if got := d.Decide("kms:CreateGrant", policy.Keys{policy.GranteePrincipal: principal}); got != want {
			t.Errorf("%s: got %v, want %v", principal, got, want)
		}
	}
}

// docs/iam.md contains the policies of both sides, and preflight = "only" prints them.
func TestPrintedAccountPolicies(t *testing.T) {
	page, err := os.ReadFile("../../docs/iam.md")
	if err != nil {
		t.Fatal(err)
	}
	own := policy.Least(policy.Needs{Accounts: policy.Accounts{Any: true, Grantees: []string{roleOf(accountA)}}})
	own.Statement = slices.DeleteFunc(own.Statement, func(s policy.Statement) bool {
		return !slices.Contains([]string{"Accounts", "Grants", "OptionalAccounts"}, s.Sid)
	})
	role := policy.LeastOfRole(policy.RoleNeeds{Keys: true, Parameter: true})
	for _, d := range []policy.Document{own, role} {
		if !strings.Contains(string(page), "```json\n"+d.JSON()+"\n```") {
			t.Errorf("docs/iam.md lacks this policy:\n%s", d.JSON())
		}
		if _, err := policy.Parse([]byte(d.JSON())); err != nil {
			t.Errorf("the rehearsal cannot enforce it: %v", err)
		}
	}
	w := newWorld(t)
	if _, err := w.build(t, t.Context(), inAccounts(map[string]any{"preflight": "only"})); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	said := w.ui.String()
	for _, want := range []string{"Minimum IAM policy of " + roleOf(accountA) + ":\n" + policy.LeastOfRole(policy.RoleNeeds{}).JSON(), `"sts:AssumeRole"`} {
		if !strings.Contains(said, want) {
			t.Errorf("the output lacks %q:\n%s", want, said)
		}
	}
}

// EC2 is eventually consistent: for a while, the account may not find the shared image, or
// not read its snapshots.
func TestAccountCopyIsRetried(t *testing.T) {
	for _, code := range []string{"InvalidAMIID.NotFound", "InvalidRequest"} {
		w := newWorld(t)
		w.aws.AddFault(rehearsal.Fault{Action: "CopyImage", Account: accountA, Region: "us-east-1", Nth: 1, Code: code})
		if _, err := w.build(t, t.Context(), inAccounts(nil)); err != nil {
			t.Fatalf("%s: %v\n%s", code, err, w.ui.String())
		}
		w.copiesIn(t, accountA, accountRegions...)
	}
}

// losing loses the responses of all calls of an action of a JSON service.
type losing struct {
	*world
	action string
}

func (l losing) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.world.RoundTrip(r)
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+l.action) {
		return nil, io.ErrUnexpectedEOF
	}
	return answer, err
}

// A grant whose response is lost for good is found by its name, and revoked.
func TestLostGrantIsRevoked(t *testing.T) {
	w := newWorld(t)
	own, theirs := w.newKeys(t, ""), w.newKeys(t, accountA)
	w.transport, w.outageLimit = losing{w, "CreateGrant"}, 50*time.Millisecond
	if _, err := w.build(t, t.Context(), encryptedAccounts(own, theirs)); err == nil || !strings.Contains(err.Error(), "granting the use of") {
		t.Errorf("got %v, want an error for the grant", err)
	}
	if shares := w.shared(t, slices.Collect(maps.Values(own))...); len(shares) > 0 {
		t.Errorf("still shared: %q\n%s", shares, w.ui.String())
	}
	w.nothingAnywhere(t)
}

// in returns a client of another account.
func (w *world) in(account, region string) *awsclient.EC2 {
	return awsclient.New(w.aws.AWSConfig(region), "").Assume(awsclient.Role{ARN: roleOf(account), Session: "test"}).EC2(region)
}

// A resumed build neither deletes nor uses copies that are not its own.
func TestAccountCopiesOfAnotherRun(t *testing.T) {
	config := func() map[string]any {
		return map[string]any{
			"build_id": resumedID, "preflight": "off", "ami_regions": []string(nil), "on_copy_failure": "keep",
			"deprecate_at": time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339),
			"ami_accounts": []map[string]any{{"id": accountA, "role_arn": roleOf(accountA)}},
		}
	}
	for name, test := range map[string]struct {
		between func(t *testing.T, w *world, copied string)
		said    string
	}{
		"its completion fails": {func(_ *testing.T, w *world, _ string) {
			w.aws.AddFault(rehearsal.Fault{Action: "EnableImageDeprecation", Account: accountA, Code: "UnauthorizedOperation"})
		}, "no image: "},
		"disabled": {func(t *testing.T, w *world, copied string) {
			if _, err := w.in(accountA, "eu-central-1").DisableImage(t.Context(), &ec2.DisableImageInput{ImageId: &copied}); err != nil {
				t.Fatal(err)
			}
		}, "is disabled; enable it or deregister it"},
		"of another image": {func(t *testing.T, w *world, _ string) {
			own := w.oneImageEach(t, "eu-central-1")["eu-central-1"]
			client := ec2.NewFromConfig(w.aws.AWSConfig("eu-central-1"))
			if _, err := client.DeregisterImage(t.Context(), &ec2.DeregisterImageInput{ImageId: &own.ID, DeleteAssociatedSnapshots: aws.Bool(true)}); err != nil {
				t.Fatal(err)
			}
		}, "is a copy of another image of build"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if _, err := w.build(t, t.Context(), config()); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			copied := w.copiesIn(t, accountA, "eu-central-1")["eu-central-1"]
			test.between(t, w, copied)
			_, err := w.build(t, t.Context(), config())
			if said := fmt.Sprint(w.ui.String(), err); !strings.Contains(said, test.said) {
				t.Errorf("want %q in\n%s", test.said, said)
			}
			if left := w.leftIn(accountA); len(left) != 2 || !strings.Contains(left[0], copied) {
				t.Errorf("got %q, want %s and its snapshot", left, copied)
			}
		})
	}
}

// A run is killed while an image is shared, and the resumed one fails before it would share
// the image. It names or revokes the shares.
func TestSharesOfKilledRun(t *testing.T) {
	config := func() map[string]any {
		return map[string]any{
			"build_id": resumedID, "ami_regions": []string(nil),
			"ami_accounts": []map[string]any{{"id": accountA, "role_arn": roleOf(accountA)}},
		}
	}
	w := newWorld(t)
	for nth := 1; len(w.shared(t)) < 2; nth++ { // until the call after both shares
		w = newWorld(t)
		w.kill(t, nth, config())
	}
	w.aws.AddFault(rehearsal.Fault{Action: "AssumeRole", Code: "AccessDenied", Status: http.StatusForbidden})
	if _, err := w.build(t, t.Context(), config()); err == nil {
		t.Fatal("got no error, want the role's")
	}
	said := w.ui.String()
	if left := w.shared(t); strings.Count(said, "left behind: ") < len(left) {
		t.Errorf("%q are still shared, without a word\n%s", left, said)
	}
}
