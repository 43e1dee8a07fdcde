// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package cleanup

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Names that users choose, or find in an account, reach the AWS CLI unchanged from a
// printed command.
func TestCommandsAreQuoted(t *testing.T) {
	names := []string{
		"plain", "two words", "a;touch evil", "$(touch evil)", "`touch evil`", "$HOME", "a'b", "a';touch evil;'", `a"b`, `a\`, "a\ntouch evil",
		"-x", "--help", "#no", "a&touch evil&", "a|touch evil", "a>evil", "*", "~", "!x", "a=b", "é",
	}
	for _, name := range names {
		for _, e := range []Entry{
			{Kind: KeyPair, Region: name, Name: name},
			{Kind: SecurityGroup, Region: name, Name: name},
			{Kind: LaunchTemplate, Region: name, ID: name},
			{Kind: InstanceProfile, Region: Global, Name: name},
			{Kind: Role, Region: Global, Name: name},
			{Kind: ImageShare, Region: name, ID: name, For: name},
			{Kind: SnapshotShare, Region: name, ID: name, For: name},
			{Kind: Grant, Region: name, ID: name, Of: name},
			{Kind: Grant, Region: name, Name: name, Of: name},
		} {
			sh := exec.Command("sh", "-c", `aws() { printf '%s\0' "$@" >&2; }`+"\n"+e.Command())
			sh.Dir = t.TempDir()
			var calls strings.Builder
			sh.Stderr = &calls
			if err := sh.Run(); err != nil {
				t.Errorf("%s: %v: %s", e.Command(), err, calls.String())
			}
			for arg := range strings.SplitSeq(calls.String(), "\x00") {
				_, value, joined := strings.Cut(arg, "=")
				switch {
				case arg == name, joined && (value == name || arg == "Remove=[{UserId="+name+"}]"), arg == "Grants[?Name=='"+name+"'].GrantId", arg == "":
				case slices.Contains(words, strings.TrimSuffix(arg, "="+name)):
				default:
					t.Errorf("%s: got the argument %q", e.Command(), arg)
				}
			}
			if !strings.Contains(calls.String(), name) {
				t.Errorf("%s: lost the name %q", e.Command(), name)
			}
			if left, err := os.ReadDir(sh.Dir); err != nil || len(left) > 0 {
				t.Errorf("%s: ran a command of the name: %v, %v", e.Command(), left, err)
			}
		}
	}
}

// words are those of the commands themselves.
var words = strings.Fields(`aws ec2 iam kms delete-key-pair --key-name delete-security-group --group-name delete-launch-template --launch-template-id
	remove-role-from-instance-profile --instance-profile-name --role-name delete-instance-profile delete-role-policy --policy-name delete-role
	modify-image-attribute --image-id --launch-permission modify-snapshot-attribute --snapshot-id --attribute createVolumePermission --operation-type remove
	--user-ids revoke-grant --key-id --grant-id list-grants --query --output text --region`)
